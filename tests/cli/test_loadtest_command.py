"""`e2egrec loadtest` from its options to figures, plot and exit code."""

import json
import sys

import pytest

from serving.server_command import start_server
from tests.cli.job import e2egrec, refuse, succeed

SHORT = ("--rate", 40, "--seconds", 0.5, "--connections", 2, "--candidates", 5)


@pytest.fixture(scope="module")
def target(job):
    with start_server(job[0] / "export/R5", "R5", port=0, kind="development") as server:
        yield server.target


def test_a_running_server(job, target, tmp_path):
    plot = tmp_path / "plots/load.png"
    done = succeed("loadtest", job[0] / "export/R5", "--target", target, *SHORT, "--json", "--plot", plot)
    figures = json.loads(done.out)
    assert figures["requests"] == figures["answered"] == 20
    assert figures["versions"] == {"1": 20}
    assert (figures["errors"], figures["error_rate"]) == ({}, 0)
    latency = figures["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert done.err == ""  # the export's items are known


def test_an_export_alone(job):
    done = succeed("loadtest", job[0] / "export/R5", *SHORT, "--arrivals", "uniform", "--replay")
    assert "to R5 on 127.0.0.1:" in done.out
    for row in ("requests", "answers per second", "latency p99.9", "answered by version 1"):
        assert f" {row} " in done.out
    assert "the development server shares this process" in done.err
    quiet = succeed("loadtest", job[0] / "export/R5", *SHORT, "--json")
    assert json.loads(quiet.out)["answered"] == 20


def test_a_server_alone_gets_ids_of_a_file_or_made_up_ones(target, tmp_path):
    items = tmp_path / "items.txt"
    items.write_text("7\n8\n")
    assert succeed("loadtest", "--target", target, *SHORT, "--items", items, "--version", 1).err == ""
    assert "no item id is known" in succeed("loadtest", "--target", target, *SHORT).err


def test_bounds_decide_the_exit_code(target):
    slow = e2egrec("loadtest", "--target", target, *SHORT, "--max-p99", 0.001)
    assert slow.code == 1
    assert "error: p99 is " in slow.err
    assert e2egrec("loadtest", "--target", target, *SHORT, "--max-p99", 60_000).code == 0


def test_mistakes(job, target, tmp_path, monkeypatch):
    refuse("loadtest", says=("EXPORT_DIR", "--target"))
    refuse("loadtest", "--target", target, "--rate", 0, says=("positive rate",))
    refuse("loadtest", "--target", target, "--replay", says=("name EXPORT_DIR, too",))
    refuse("loadtest", "--target", target, "--name", "R7", says=("does not serve this model", "R7"))
    refuse("loadtest", "--target", target, "--version", "stable", says=("stable",))
    refuse("loadtest", "--target", target, "--items", tmp_path / "absent", says=("cannot be read",))
    refuse("loadtest", tmp_path / "nowhere", says=("export a model there first",))
    monkeypatch.setitem(
        sys.modules, "serving.load_test.load_plot", None
    )  # as where matplotlib is not installed
    says = (r"run `pip install matplotlib`, or leave --plot out",)
    refuse("loadtest", "--target", target, "--plot", tmp_path / "load.png", says=says)

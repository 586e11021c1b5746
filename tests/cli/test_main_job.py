"""The chain `e2egrec run` against its single stages."""

import json
import re
import subprocess
import sys

import pytest

from tests.cli.job import e2egrec, fingerprints, manifest, refuse, rewrite, succeed

STAGES = ("swing", "subgraphs", "train", "evaluate", "export")


@pytest.mark.slow
def test_single_stages_make_what_the_chain_makes(data, job, tmp_path):
    run = tmp_path / "by-stage"
    succeed("swing", data, "--out", run)
    succeed("subgraphs", data, "--out", run)
    succeed("train", data, "--out", run, "--models", "R5")
    succeed("evaluate", run)
    succeed("export", run, "--model", "R5")
    made, expected = fingerprints(run), fingerprints(job[0])
    assert set(expected) - set(made) == {"models/R0/seed-0"}
    assert made.pop("evaluation") != expected.pop("evaluation")  # of one model, and of two
    assert made.items() <= expected.items()
    ours, theirs = (
        json.loads((one / "evaluation" / "report.json").read_text())["models"]["R5"]["overall"]["auc"]["mean"]
        for one in (run, job[0])
    )
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_the_chain_tells_what_it_reads_and_writes(job):
    run, done = job
    assert done.err == ""
    for stage in STAGES:
        assert re.search(rf"^{stage} +reads .* +writes {re.escape(str(run))}", done.out, re.MULTILINE)
    assert "AUC" in done.out
    assert f"e2egrec serve {run}/export/R5" in done.out
    without_paths = [line for line in done.out.splitlines() if str(run) not in line]
    assert max(map(len, without_paths)) <= 80


def test_what_is_up_to_date_is_not_repeated(data, run_copy):
    before = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if path.is_file()}
    done = succeed("run", data, "--out", run_copy)
    for stage in STAGES:
        assert re.search(rf"^{stage} .* is up to date \(--force makes it again\)$", done.out, re.MULTILINE)
    assert "AUC" in done.out  # the report is shown all the same
    assert {path: path.stat().st_mtime_ns for path in run_copy.rglob("*") if path.is_file()} == before
    for arguments in (("swing", data, "--out", run_copy), ("train", data, "--out", run_copy)):
        assert "is up to date" in succeed(*arguments).out


def test_force_repeats(data, run_copy):
    expected = fingerprints(run_copy)
    inodes = {name: (run_copy / name).stat().st_ino for name in expected}
    for arguments in (
        ("swing", data, "--out", run_copy, "--force"),
        ("subgraphs", data, "--out", run_copy, "--force"),
        ("train", data, "--out", run_copy, "--models", "R0", "--force"),
        ("evaluate", run_copy, "--force"),
    ):
        assert "is up to date" not in succeed(*arguments).out
    assert fingerprints(run_copy) == expected
    again = {name: (run_copy / name).stat().st_ino for name in expected}
    assert {name for name in expected if again[name] != inodes[name]} == {
        "graph",
        "subgraphs",
        "models/R0/seed-0",
        "evaluation",
    }


def test_a_changed_description_repeats_what_depends_on_it(data, run_copy, tmp_path):
    changed = rewrite(
        data, lambda content: content["graph"]["sampling"].update(fanout=3), tmp_path / "changed.yaml"
    )
    arguments = ("--data", data.parent, "--out", run_copy)
    refuse(
        "train",
        changed,
        *arguments,
        says=("subgraphs was made from other data or another conf", "run `e2egrec sub"),
    )
    assert "fanout: 20" in (run_copy / "dataset.yaml").read_text()  # a refusal leaves the run as it was
    assert "is up to date" in succeed("swing", changed, *arguments).out
    refuse("evaluate", run_copy, says=("subgraphs was made from another description", r"\(graph differs\)"))
    refuse("export", run_copy, says=("run `e2egrec subgraphs` again",))
    assert "is up to date" not in succeed("subgraphs", changed, *arguments).out
    refuse(
        "evaluate", run_copy, says=("R0/seed-0 was trained on other subgraphs", "train it again, or remove")
    )
    refuse("export", run_copy, says=("was trained on other subgraphs", "run `e2egrec train` again"))


def test_more_seeds_and_models_add_to_a_run(data, run_copy):
    done = succeed("train", data, "--out", run_copy, "--models", "R0", "--seeds", 2)
    assert "R0/seed-0 is up to date" in done.out
    assert manifest(run_copy / "models/R0/seed-1").configuration["seed"] == 1
    assert "2 seeds" in succeed("evaluate", run_copy).out
    refuse("export", run_copy, "--seed", 3, says=("seed-3 holds no finished train", "--models R5 --seeds 4"))


def test_exports_are_numbered(run_copy, tmp_path):
    assert "is up to date" not in succeed("export", run_copy, "--model", "R0", "--to", tmp_path / "m").out
    succeed("export", run_copy, "--model", "R0", "--to", tmp_path / "m", "--version", 7)
    versions = {path.name for path in (tmp_path / "m").iterdir()}
    assert versions == {"1", "7"}
    refuse(
        "export", run_copy, "--model", "R0", "--to", tmp_path / "m", "--version", 7,
        says=("m/7 exists already", "choose another --version"),
    )  # fmt: skip


@pytest.mark.slow
def test_the_installed_command_keeps_quiet(run_copy):
    """Nothing of what TensorFlow and others say at start-up and while saving reaches the terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "tf_e2egrec.cli.main", "export", str(run_copy)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert re.fullmatch(r"export  reads \S+  writes \S+\n  wrote \S+; next: e2egrec serve \S+\n", done.stdout)


@pytest.mark.slow
def test_the_whole_job_keeps_quiet(data, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tf_e2egrec.cli.main", "run", str(data), "--out", str(tmp_path / "run"), "--predict"],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert "ranking for user" in done.stdout


def test_help_names_every_command_and_is_fast():
    done = e2egrec("--help")
    assert done.code == 0
    for name in (*STAGES, "run", "synthesize", "serve", "predict"):
        assert f" {name} " in done.out
    probe = "import sys; import tf_e2egrec.cli.main; print([m for m in ('tensorflow', 'apache_beam') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"

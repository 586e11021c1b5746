"""A refresh gives the bytes of a full run, and makes again only what changed."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from beam_pipelines.refresh import first_difference, main, run_refresh
from beam_pipelines.subgraphs import run_subgraphs
from beam_pipelines.swing import run_swing
from tf_e2egrec.cli.main import app
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.errors import E2EGRecError

DAY, HOUR = 86_400_000, 3_600_000
START = 18_262 * DAY  # 2020-01-01

TEXT = """
name: small
seed: 3
interactions:
  paths: day-*.parquet
  user: u
  item: i
  time: {column: t, unit: ms}
  behaviours: {click: {always: true}, like: {column: liked}}
  stay: {gap_to_next: true, maximum: 600}
  context: [{name: device, type: categorical}]
items: {paths: items.parquet, id: i, features: [{name: price, type: numeric}]}
ranker: {reward: like, derived: [hour_of_day, item_age, recent_count]NEGATIVES}
graph:
  positive: [click]
  explicit: [like]
  recent: 4
  snapshots: {refresh: 8h, window: 2d}
  swing: {min_behaviours: 2, max_behaviours: 12, max_users_per_item: 9}
  sampling: {fanout: 6, recent_fanout: 3, top: 12}
split: {by: time, labels_from: 2020-01-02, train_until: 2020-01-04, valid_until: 2020-01-05}
"""
NEGATIVES = ", negatives: {per_positive: 2, window: 2d, every: 6h, pool_size: 50}"


def day_log(day, rows=200):
    rng = np.random.default_rng(day)
    return {
        "u": rng.integers(0, 25, rows),
        "i": np.minimum(rng.geometric(0.06, rows), 40),
        "t": START + day * DAY + rng.integers(0, DAY, rows),
        "liked": rng.random(rows) < 0.5,
        "device": rng.integers(0, 3, rows),
    }


def write(folder, days, text=TEXT, negatives=False):
    """The description of logs of some days; a day is its number, or (name, log)."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        name, log = day if isinstance(day, tuple) else (day, day_log(day))
        pq.write_table(pa.table(log), folder / f"day-{name}.parquet")
    pq.write_table(pa.table({"i": np.arange(60), "price": np.arange(60) / 7}), folder / "items.parquet")
    (folder / "small.yaml").write_text(text.replace("NEGATIVES", NEGATIVES if negatives else ""))
    return load_description(folder / "small.yaml")


def full_run(description, run):
    run_swing(description, run / "graph")
    run_subgraphs(description, run / "graph", run / "subgraphs")
    return run


def digests(run):
    """Hash of every file of the two artefacts but the manifests."""
    files = [path for path in run.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def manifests(run):
    return read_manifest(run / "graph", "swing", ""), read_manifest(run / "subgraphs", "subgraphs", "")


def assert_is_a_full_run(run, description, tmp_path):
    full = full_run(description, tmp_path / "full")
    assert digests(run) == digests(full)
    for refreshed, whole in zip(manifests(run), manifests(full), strict=True):
        assert (refreshed.fingerprint, refreshed.upstream) == (whole.fingerprint, whole.upstream)
        assert refreshed.details == whole.details
        assert refreshed.newest_edge_time == whole.newest_edge_time
    ours, theirs = (dict(manifests(one)[1].counters) for one in (run, full))
    assert ours.pop("files_reused") >= 0
    assert ours.pop("tables_reused", 0) >= 0
    assert ours == theirs


@pytest.mark.parametrize("window", ["2d", "all", "13h"])
def test_a_new_day(tmp_path, window):
    text = TEXT.replace("window: 2d", f"window: {window}")
    run = full_run(write(tmp_path / "data", range(5), text), tmp_path / "run")
    before = {path: path.stat().st_ino for path in run.rglob("*.tfrecord")}
    description = write(tmp_path / "data", range(6), text)
    refreshed = run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)
    # The graph that was valid when the old log ended is extended by nothing: three new ones of 8 h follow.
    assert refreshed.snapshots_computed == 3
    assert refreshed.snapshots_reused >= 12
    # Gaps to the next event give the users' last rows of the old log a label: their file changes, too.
    assert refreshed.files_written == 2
    assert refreshed.files_reused == len(before) - 1
    assert sum(path.stat().st_ino == inode for path, inode in before.items()) == refreshed.files_reused
    assert not list(run.rglob(".*"))


def test_a_new_day_with_sampled_negatives(tmp_path):
    run = full_run(write(tmp_path / "data", range(5), negatives=True), tmp_path / "run")
    description = write(tmp_path / "data", range(6), negatives=True)
    refreshed = run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)
    assert refreshed.snapshots_computed == 3
    assert refreshed.files_written > 2  # negatives of old days that users engage with on the new day


@pytest.mark.slow
@pytest.mark.parametrize(
    "beam_args",
    [
        ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"),
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ],
)
def test_a_job_server_and_worker_processes_change_nothing(tmp_path, beam_args):
    run = full_run(write(tmp_path / "data", range(4), negatives=True), tmp_path / "run")
    description = write(tmp_path / "data", range(5), negatives=True)
    assert run_refresh(description, run, beam_args).snapshots_computed == 3
    assert_is_a_full_run(run, description, tmp_path)


def test_a_late_row(tmp_path):
    run = full_run(write(tmp_path / "data", range(5)), tmp_path / "run")
    late = {name: values[:1] for name, values in day_log(2).items()} | {
        "t": np.array([START + 2 * DAY + 5 * HOUR])
    }
    description = write(tmp_path / "data", [*range(5), ("late", late)])
    refreshed = run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)
    assert refreshed.snapshots_computed == 6  # those whose 48 hours hold the row
    assert refreshed.snapshots_reused > 6


def test_rows_that_vanish(tmp_path):
    run = full_run(write(tmp_path / "data", range(6)), tmp_path / "run")
    (tmp_path / "data" / "day-5.parquet").unlink()
    description = write(tmp_path / "data", range(5))
    run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)


def test_the_split_may_move_and_paths_may_be_added(tmp_path):
    run = full_run(write(tmp_path / "data", range(5)), tmp_path / "run")
    text = TEXT.replace("2020-01-04", "2020-01-05").replace(
        "valid_until: 2020-01-05", "valid_until: 2020-01-06"
    )
    text = text.replace("day-*.parquet", "[day-*.parquet, more.parquet]")
    pq.write_table(pa.table(day_log(5)), tmp_path / "data" / "more.parquet")
    description = write(tmp_path / "data", range(5), text)
    refreshed = run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)
    assert refreshed.snapshots_computed == 3
    assert refreshed.files_reused > 0


def test_ranks(tmp_path):
    text = TEXT.replace("unit: ms", "unit: rank").replace("stay: {gap_to_next: true, maximum: 600}", "")
    text = text.replace("refresh: 8h, window: 2d", "refresh: 0.25, window: all")
    text = text[: text.index("split:")] + "split: {by: user_fraction, train_until: 0.5, valid_until: 0.75}"
    run = full_run(write(tmp_path / "data", range(3), text), tmp_path / "run")
    description = write(tmp_path / "data", range(4), text)
    run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)


def test_nothing_new_changes_nothing(tmp_path, capsys):
    description = write(tmp_path / "data", range(5))
    run = full_run(description, tmp_path / "run")
    before = digests(run)
    refreshed = run_refresh(description, run)
    assert not refreshed.is_new
    assert digests(run) == before
    arguments = ["--input", str(tmp_path / "data" / "small.yaml"), "--output", str(run)]
    assert main(arguments) == 0
    assert "is up to date" in capsys.readouterr().out
    write(tmp_path / "data", range(6))
    assert main(arguments) == 0
    assert "snapshots 3 computed" in capsys.readouterr().out


def test_another_description_is_refused(tmp_path, capsys):
    write(tmp_path / "data", range(5))
    arguments = ["--input", str(tmp_path / "data" / "small.yaml"), "--output", str(tmp_path / "run")]
    assert main(arguments) == 2
    assert "run `e2egrec swing` first" in capsys.readouterr().err
    run = full_run(load_description(tmp_path / "data" / "small.yaml"), tmp_path / "run")
    before = digests(run)
    for change, key in [
        (("top: 12", "top: 9"), "graph.sampling.top"),
        (("window: 2d", "window: 3d"), "graph.snapshots.window"),
    ]:
        description = write(tmp_path / "data", range(6), TEXT.replace(*change))
        with pytest.raises(
            E2EGRecError, match=f"`{key}` of the description .* run `e2egrec swing` and `e2egrec subgraphs`"
        ):
            run_refresh(description, run)
    assert digests(run) == before


def test_the_command(tmp_path):
    run = full_run(write(tmp_path / "data", range(5)), tmp_path / "run")
    file = write(tmp_path / "data", range(6)) and tmp_path / "data" / "small.yaml"
    done = CliRunner().invoke(app, ["refresh", str(file), "--out", str(run)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "snapshots 3 computed, 15 reused; record files 2 written, 3 reused" in done.stdout.replace(
        "\n", " "
    )
    assert "files of records taken over unchanged" in done.stdout
    assert (run / "dataset.yaml").read_text() == file.read_text()


def test_first_difference():
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "a.1.b"
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == "a"
    assert first_difference({}, {"x": {"y": 1}}) == "x"


KILLED = """
import os, sys
from beam_pipelines import refresh, subgraphs
from tf_e2egrec.dataset.description.load import load_description
subgraphs._write_schema = lambda *arguments: os._exit(9)
refresh.run_refresh(load_description(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_refresh_leaves_the_old_artefacts(tmp_path):
    run = full_run(write(tmp_path / "data", range(5)), tmp_path / "run")
    before, old = (
        digests(run),
        [json.loads((run / name / "manifest.json").read_text()) for name in ("graph", "subgraphs")],
    )
    description = write(tmp_path / "data", range(6))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data" / "small.yaml"), str(run)]
    assert (
        subprocess.run(
            command, check=False, capture_output=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
        ).returncode
        == 9
    )
    found = digests(run)
    assert {name: found[name] for name in before} == before
    assert [json.loads((run / name / "manifest.json").read_text()) for name in ("graph", "subgraphs")] == old
    run_refresh(description, run)
    assert_is_a_full_run(run, description, tmp_path)
    assert sorted(path.name for path in run.iterdir()) == ["graph", "subgraphs"]

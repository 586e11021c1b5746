"""Leaks planted into the artefacts of the small job."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.job import rewrite, succeed
from tf_e2egrec.comparison.leaks import check_leaks
from tf_e2egrec.dataset.artefact import read_manifest, write_manifest
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.dataset.description.row_filter import RowFilter
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.run_directory import RunDirectory


def log_files(data):
    return [(0, str(path)) for path in sorted((data.parent / "interactions").glob("*.parquet"))]


def check(run, data, sample=200, description=None):
    described = description or load_description(run.description_file, data.parent)
    return check_leaks(run, described, log_files(data), lambda path: Path(path).open("rb"), sample)


def leak(run, data, says, **options):
    with pytest.raises(E2EGRecError, match=f"^leak: .*{says}"):
        check(run, data, **options)


def snapshots(run):
    return sorted((run.graph / "edges").iterdir(), key=lambda path: int(path.name.split("=")[1]))


def test_the_job_has_no_leak(job, data):
    found = {one["check"]: one["looked_at"] for one in check(RunDirectory(job[0]), data)}
    assert len(found) == 5
    assert min(found.values()) > 4
    assert {one["graph"] for one in check(RunDirectory(job[0]), data, sample=0)} == {"swing"}
    assert len(check(RunDirectory(job[0]), data, sample=0)) == 2


def test_an_edge_file_that_is_newer_than_its_snapshot(run_copy, data):
    run = RunDirectory(run_copy)
    path = next(snapshots(run)[-1].glob("*.parquet"))
    valid_from = read_manifest(run.graph, "swing", "").details["snapshots"][path.parent.name.split("=")[1]]["valid_from"]  # fmt: skip
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"newest_event_time": str(valid_from).encode()}), path)
    leak(run, data, f"an edge from an event at {valid_from}", sample=0)


def test_a_graph_of_other_rows_than_the_ranker(run_copy, data):
    run = RunDirectory(run_copy)
    manifest = read_manifest(run.graph, "swing", "")
    manifest.counters["graph_rows"] += 5
    write_manifest(run.graph, manifest)
    leak(run, data, "that is not the regime `equal`", sample=0)


def test_edges_of_users_whom_the_regime_leaves_out(job, data):
    """The graph saw everybody; a description that gives the ranker half of the users does not allow that."""
    run = RunDirectory(job[0])
    described = load_description(run.description_file, data.parent)
    ranker = described.ranker.model_copy(update={"rows": [RowFilter(users_share=0.5)]})
    half = described.model_copy(update={"ranker": ranker})
    leak(run, data, "(but the rows that regime `equal` allows|has no event before)", description=half)


def test_neighbours_from_another_snapshot(run_copy, data):
    run = RunDirectory(run_copy)
    first, *_, last, _ = snapshots(run)  # the newest one serves what comes after the logs
    for path in last.glob("*.parquet"):
        path.unlink()
    for path in first.glob("*.parquet"):
        shutil.copy(path, last / path.name)
    leak(run, data, "does not know")


def test_an_edge_that_the_impressions_day_made(data_copy, run_copy):
    """Without the rows of the days before, whose edges the records hold, nothing explains these edges."""
    for path in sorted((data_copy.parent / "interactions").glob("*.parquet"))[:3]:
        table = pq.read_table(path)
        shifted = pa.array(np.asarray(table["time_ms"]) + 30 * 86_400_000)
        place = table.column_names.index("time_ms")
        pq.write_table(table.set_column(place, "time_ms", shifted), path)
    leak(RunDirectory(run_copy), data_copy, "(allows until then do not|has no event before the impression)")


def test_a_two_hop_graph_may_link_what_no_user_shares(data, tmp_path):
    file = rewrite(data, lambda content: content["graph"].update(edges="two-hop"), tmp_path / "two-hop.yaml")
    run = RunDirectory(tmp_path / "run")
    for stage in ("swing", "subgraphs"):
        succeed(stage, file, "--data", data.parent, "--out", run.root)
    found = {one["check"]: one["looked_at"] for one in check(run, data)}
    assert found["older rows of regime equal hold both items of an edge (edges)"] > 4
    swing = load_description(data, data.parent)
    leak(run, data, "links the items .* the rows that regime `equal` allows", description=swing)

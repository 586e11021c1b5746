"""Whatever the rows' order, the number of files and Beam's options: the same bytes."""

import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.job import fingerprints, succeed
from tests.cli.logs import derived_data, edges_of


def contents(directory, pattern):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob(pattern))
    }


@pytest.fixture(scope="module")
def shuffled(data, tmp_path_factory):
    """The description file of the same rows, shuffled and dealt out over three files."""
    folder = tmp_path_factory.mktemp("shuffled") / "data"
    return derived_data(
        data, folder, rows=lambda table: table.take(np.random.default_rng(0).permutation(len(table))), files=3
    )


def test_shuffled_rows_in_other_files_change_no_byte(shuffled, job, tmp_path):
    beam = "--swing_partitions=5 --swing_threads=1 --subgraphs_partitions=3"
    for stage in ("swing", "subgraphs"):
        succeed(stage, shuffled, "--out", tmp_path, "--beam", beam)
    for stage, pattern in (("graph", "*.parquet"), ("subgraphs", "*.tfrecord"), ("subgraphs", "*.pbtxt")):
        made = contents(tmp_path / stage, pattern)
        assert made
        assert made == contents(job[0] / stage, pattern)
    for name in ("item", "user"):
        ours, theirs = (pq.read_table(run / f"subgraphs/nodes/{name}.parquet") for run in (tmp_path, job[0]))
        assert ours.equals(theirs)
    # The input is another one all the same: other files.
    assert fingerprints(tmp_path)["graph"] != fingerprints(job[0])["graph"]


def test_other_item_shards_make_the_same_edges_and_records(data, job, tmp_path):
    succeed("swing", data, "--out", tmp_path, "--beam", "--swing_shards=3 --swing_partitions=2")
    assert len(list((tmp_path / "graph").rglob("*.parquet"))) > len(
        list((job[0] / "graph").rglob("*.parquet"))
    )
    assert edges_of(tmp_path) == edges_of(job[0])
    succeed("subgraphs", data, "--out", tmp_path)
    assert contents(tmp_path / "subgraphs", "*.tfrecord") == contents(job[0] / "subgraphs", "*.tfrecord")
    assert fingerprints(tmp_path)["subgraphs"] == fingerprints(job[0])["subgraphs"]


@pytest.mark.slow
def test_several_processes_make_the_same_bytes(shuffled, job, tmp_path):
    beam = "--direct_running_mode=multi_processing --direct_num_workers=2 --swing_shards=1"
    for stage, pattern in (("swing", "*.parquet"), ("subgraphs", "*.tfrecord")):
        succeed(stage, shuffled, "--out", tmp_path, "--beam", beam)
        name = "graph" if stage == "swing" else stage
        assert contents(tmp_path / name, pattern) == contents(job[0] / name, pattern)

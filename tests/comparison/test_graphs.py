import pytest

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.graphs import require_same_counts, share_edges
from tf_e2egrec.dataset.artefact import Manifest, read_manifest, write_manifest
from tf_e2egrec.errors import E2EGRecError


def publish(target, stage, fingerprint="", **counters):
    (target / "edges").mkdir(parents=True)
    (target / "edges" / "part").write_bytes(b"edges")
    write_manifest(
        target,
        Manifest(stage=stage, configuration={}, fingerprint=fingerprint, inputs="", counters=counters),
    )


def test_equal_edges_are_shared(tmp_path):
    directory = CompareDirectory(tmp_path)
    publish(directory.run("random").graph, "swing", "other")
    publish(directory.run("swing").graph, "swing", "wanted")
    assert share_edges(directory, "swing-1", "wanted") == directory.run("swing").graph
    made = directory.run("swing-1").graph
    assert read_manifest(made, "swing", "").fingerprint == "wanted"
    assert (made / "edges" / "part").read_bytes() == b"edges"


def test_nothing_is_shared_without_need(tmp_path):
    directory = CompareDirectory(tmp_path)
    publish(directory.run("swing").graph, "swing", "wanted")
    publish(directory.run("swing-1").graph, "swing", "old")  # the swing stage says what to do about it
    assert share_edges(directory, "swing-1", "wanted") is None
    assert share_edges(directory, "swing-2", "another") is None
    assert read_manifest(directory.run("swing-1").graph, "swing", "").fingerprint == "old"
    assert not directory.run("swing-2").graph.exists()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_graphs_of_other_impressions_are_told_before_the_training(tmp_path, split):
    directory = CompareDirectory(tmp_path)
    counts = {f"impressions_{one}": 10 for one in ("train", "valid", "test")}
    for graph in ("swing", "swing-1"):
        publish(directory.run(graph).subgraphs, "subgraphs", **counts)
    publish(directory.run("swing-2").subgraphs, "subgraphs", **counts | {f"impressions_{split}": 11})
    require_same_counts(directory, ["swing", "swing-1"])
    with pytest.raises(
        E2EGRecError, match=rf"swing-2.* holds 11 impressions of `{split}`, but .*swing.* holds 10"
    ):
        require_same_counts(directory, ["swing", "swing-1", "swing-2"])

"""Exports of a search for candidates: what is published, and what is not."""

import json

import numpy as np
import pytest
import tensorflow as tf

from serving.warmup import WARMUP_FILE, write_warmup
from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.stages import export_candidates as stage
from tf_e2egrec.stages.export_canary import require_sound
from tf_e2egrec.stages.export_candidates import CandidatesOptions, export_candidates
from tf_e2egrec.stages.run_directory import RunDirectory

TOP = 20


@pytest.fixture(scope="module")
def run(job):
    return RunDirectory(job[0])


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export_candidates(
        run, "R5", 0, tmp_path_factory.mktemp("models") / "m", CandidatesOptions(top=TOP)
    )


@pytest.fixture(scope="module")
def embedded(job):
    """(keys, Z) of all items, as the ranking export of the same weights embeds them."""
    embed = tf.saved_model.load(str(job[0] / "export/R5/1")).signatures["embed"]
    keys = NodeTable.read_parquet(job[0] / "subgraphs/nodes/item.parquet").key
    return keys, embed(items=tf.constant(keys))["z"].numpy()


def test_it_finds_the_nearest_items_of_the_embeddings_that_are_served(exported, embedded, run):
    keys, z = embedded
    assert run.description().graph.sampling.recent_fanout  # recent items see fewer neighbours than candidates
    retrieve = tf.saved_model.load(str(exported.directory)).signatures["retrieve"]
    for recent in ([keys[3]], [keys[5], keys[40], keys[5], 999_999_999_999]):
        answer = retrieve(recent=tf.constant([recent], tf.int64), num_recent=tf.constant([len(recent)]))
        items, scores = answer["items"][0].numpy(), answer["scores"][0].numpy()
        assert answer["num_items"].numpy().tolist() == [TOP]
        assert not set(items) & set(recent)
        assert (np.diff(scores) <= 0).all()
        # The query is made of what recent items are to the ranker, so it is solved for from the scores.
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        found = unit[np.searchsorted(keys, items)]
        query = np.linalg.lstsq(found, scores, rcond=None)[0]
        np.testing.assert_allclose(found @ query, scores, atol=1e-4)
        others = ~np.isin(keys, [*items, *recent])
        assert (unit[others] @ query).max() <= scores[-1] + 1e-4


def test_without_history_it_answers_popular_items(exported, job):
    items = NodeTable.read_parquet(job[0] / "subgraphs/nodes/item.parquet")
    retrieve = tf.saved_model.load(str(exported.directory)).signatures["retrieve"]
    answer = retrieve(recent=tf.constant([[-1]], tf.int64), num_recent=tf.constant([1]))
    np.testing.assert_array_equal(answer["scores"][0], np.sort(items.train_count)[::-1][:TOP])
    rows = items.lookup(answer["items"][0].numpy())
    np.testing.assert_array_equal(items.train_count[rows], answer["scores"][0])


def test_text_ids_are_answered_as_text(tmp_path):
    texts = np.array([f"item {one}" for one in range(30)])
    keys = string_keys(texts)
    order = np.argsort(keys)
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    module = RetrievalModule(keys[order], vectors, vectors, np.arange(30), 7, texts=texts[order])
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.signatures())
    requests = stage.warmup_requests(module)
    assert [one["recent"].shape for one in requests] == [(1, 1), (1, 20)]
    assert {one for request in requests for one in request["recent"].ravel()} <= {
        one.encode() for one in texts
    }
    write_warmup(tmp_path / "1" / WARMUP_FILE, "m", "retrieve", requests)
    (call,) = calls = stage._calls(module)
    assert call.inputs["recent"][1, 0].decode() not in texts
    assert require_sound(tmp_path / "1", calls, ["reward"])["warmup_records"] == 2
    wrong = call._replace(outputs=call.outputs | {"scores": call.outputs["scores"][::-1]})
    with pytest.raises(E2EGRecError, match="scores of signature retrieve"):
        require_sound(tmp_path / "1", [wrong], ["reward"])


def test_the_manifest_says_what_was_exported(exported):
    manifest = json.loads((exported.directory / "assets.extra/manifest.json").read_text())
    assert manifest["stage"] == "candidates"
    assert manifest["configuration"]["top"] == TOP
    assert manifest["details"]["recall"] == exported.recall._asdict()
    assert manifest["details"]["canary"]["calls"] == 1
    assert 0 <= exported.recall.found <= 1
    assert exported.recall.rows > 50


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("R0", CandidatesOptions(), "sees no graph and has no item vectors"),
        ("R5", CandidatesOptions(top=0), "at least 1"),
        ("R4", CandidatesOptions(), "holds no finished train output"),
    ],
)
def test_refused(run, tmp_path, model, options, says):
    with pytest.raises(E2EGRecError, match=says):
        export_candidates(run, model, 0, tmp_path / "m", options)
    assert not (tmp_path / "m").exists()


def test_a_version_that_is_there_is_left_alone(run, exported):
    with pytest.raises(E2EGRecError, match="exists already"):
        export_candidates(run, "R5", 0, exported.directory.parent, CandidatesOptions(version=1))


def test_what_does_not_answer_as_expected_is_not_published(run, tmp_path, monkeypatch):
    calls = stage._calls

    def other(module):
        (call,) = calls(module)
        return [call._replace(outputs=call.outputs | {"scores": call.outputs["scores"] + 0.1})]

    monkeypatch.setattr(stage, "_calls", other)
    with pytest.raises(E2EGRecError, match="not published: scores of signature retrieve differs"):
        export_candidates(run, "R5", 0, tmp_path / "m", CandidatesOptions(top=5))
    assert list((tmp_path / "m").iterdir()) == []

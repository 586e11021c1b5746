"""Exports of the small job: what is published, and what is not."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export import hybrid_ranker
from tf_e2egrec.stages.export import ExportOptions, export_model, prepare
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, read_subgraphs_manifest


@pytest.fixture(scope="module")
def run(job):
    return RunDirectory(job[0])


@pytest.fixture(scope="module")
def prepared(run):
    description = run.description()
    model = load_model(run.model("R5", 0))
    return prepare(run, description, read_subgraphs_manifest(run, description), model)


@pytest.fixture(scope="module")
def base(run, tmp_path_factory):
    """Two exports of one trained model."""
    path = tmp_path_factory.mktemp("models") / "m"
    for _ in range(2):
        export_model(run, "R5", 0, path)
    return path


def test_exported_twice_it_predicts_the_same_to_the_bit(base, prepared):
    assert sorted(path.name for path in base.iterdir()) == ["1", "2"]
    first, second = (tf.saved_model.load(str(base / version)).signatures for version in ("1", "2"))
    for call in prepared.calls:
        inputs = {name: tf.constant(value) for name, value in call.inputs.items()}
        ours, theirs = first[call.signature](**inputs), second[call.signature](**inputs)
        for name, expected in call.outputs.items():
            np.testing.assert_array_equal(ours[name], theirs[name])
            np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-5)


def test_exported_twice_it_has_the_same_variables(base):
    """Generators of dropout layers among them."""
    first, second = (
        tf.train.load_checkpoint(str(base / version / "variables/variables")) for version in ("1", "2")
    )
    shapes = first.get_variable_to_shape_map()
    assert shapes == second.get_variable_to_shape_map()
    assert any("_random_generator" in name for name in shapes)
    for name in shapes.keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}:
        np.testing.assert_array_equal(first.get_tensor(name), second.get_tensor(name), err_msg=name)


def test_the_sample_is_of_real_impressions_of_several_lengths(prepared):
    calls = {call.signature: call for call in prepared.calls}
    assert set(calls) == {"rank", "rank_fresh", "embed", "serving_default"}
    rank = calls["rank"].inputs
    assert rank["candidates"].shape == (6, 8)
    assert sorted(set(rank["num_candidates"])) == [6, 7, 8]
    known = prepared.module.examples.item_table.keys.numpy()
    assert np.isin(rank["candidates"], known).all()
    assert np.ptp(calls["rank"].outputs["reward"][0]) > 0
    assert calls["rank_fresh"].inputs["num_fresh_neighbours"].max() > 0


def test_the_manifest_says_what_is_exported(base, run):
    manifest = json.loads((base / "1/assets.extra/manifest.json").read_text())
    trained = json.loads((run.model("R5", 0) / "manifest.json").read_text())
    assert manifest["configuration"] == {"model": "R5", "seed": 0, "dataset": "short-video", "kind": "hybrid"}
    assert manifest["inputs"] == trained["inputs"]
    details = manifest["details"]
    assert details["metrics"]["auc"] == pytest.approx(details["valid_auc"])
    assert details["provenance"]["tensorflow"] == tf.__version__
    assert details["canary"]["difference"] <= 1e-5
    assert details["canary"]["calls"] == 4
    assert details["description"]["model"]["dim"] == 8


def test_what_only_training_needs_is_not_exported(base):
    names = tf.train.load_checkpoint(str(base / "1/variables/variables")).get_variable_to_shape_map()
    assert any(name.startswith("model/variables/") for name in names)
    assert not [name for name in names if "optimizer" in name]


def test_vectors_that_are_not_the_models_are_not_published(run, tmp_path, monkeypatch):
    """As of a model that was trained on after its Z was computed."""
    found = hybrid_ranker.item_vectors

    def stale(model, graph):
        vectors = found(model, graph)
        return vectors._replace(z=vectors.z * 1.5)

    monkeypatch.setattr(hybrid_ranker, "item_vectors", stale)
    with pytest.raises(
        E2EGRecError, match=r"not published: \w+ of signature \w+ differs from the Python model's"
    ):
        export_model(run, "R5", 0, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


def test_a_model_below_the_floor_is_not_even_made(run, tmp_path):
    with pytest.raises(E2EGRecError, match=r"below --min-auc 0\.999"):
        export_model(run, "R5", 0, tmp_path / "m", ExportOptions(min_auc=0.999))
    assert not (tmp_path / "m").exists()

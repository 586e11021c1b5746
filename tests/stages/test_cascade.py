"""Cascades from the subgraphs to a served model, and the models of other graphs."""

import functools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.cli.job import manifest, refuse, rewrite, succeed
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.models import VARIANTS
from tf_e2egrec.stages.predict import predict_test
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model

R2 = pytest.param("R2", marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def trained(job, data, tmp_path_factory):
    """From the name of a cascade: a copy of RUN_DIR in which it is trained, and what the command printed."""

    @functools.cache
    def train(model):
        run = shutil.copytree(job[0], tmp_path_factory.mktemp("cascade") / "run")
        return run, succeed("train", data, "--out", run, "--models", model)

    return train


def table_of(network):
    return network.graph_item_encoder.id_embedding.embeddings.numpy()


def rolling(run, model):
    """Predictions of the rolling protocol, and the item table of the graph before and after."""
    directory = RunDirectory(run)
    description = directory.description()
    evaluation = description.evaluation.model_copy(update={"protocol": "rolling"})
    description = description.model_copy(update={"evaluation": evaluation})
    network = load_model(directory.model(model, 0))
    before, ranker = table_of(network), network.ranker_item.kernel.numpy()
    subgraphs = read_manifest(directory.subgraphs, "subgraphs", "e2egrec subgraphs")
    rows = predict_test(network, directory, description, subgraphs)
    assert (network.ranker_item.kernel.numpy() != ranker).any()
    return rows, (table_of(network) != before).any()


@pytest.mark.parametrize("model", ["R2b", R2])
def test_the_manifest_tells_of_the_pretraining_and_of_the_parameters(trained, model):
    run, done = trained(model)
    details = manifest(run / "models" / model / "seed-0").details
    assert details["pretraining"]["method"] == VARIANTS[model].pretraining
    assert details["pretraining"]["steps"] > 0
    assert 0 < details["pretraining"]["seconds"] < details["seconds"]
    assert len(details["pretraining"]["effective_rank"]) == 2
    assert details["parameters"]["frozen"] > 0
    assert f"frozen {details['parameters']['frozen']:,}" in done.out
    assert "pretraining" not in manifest(run / "models/R5/seed-0").details


@pytest.mark.parametrize("model", ["R2b", R2])
def test_rolling_the_ranker_learns_on_and_bpr_keeps_the_graph_up_to_date(trained, model):
    rows, has_changed = rolling(trained(model)[0], model)
    assert has_changed == (VARIANTS[model].pretraining == "bpr")
    assert np.isfinite(rows["predicted_reward"]).all()


@pytest.mark.slow
def test_a_cascade_is_exported_with_its_frozen_graph(trained, tmp_path):
    run, _ = trained("R2b")
    succeed("export", run, "--model", "R2b", "--to", tmp_path / "R2b")
    served = tf.saved_model.load(str(tmp_path / "R2b" / "1")).signatures["serving_default"]
    files = sorted((run / "subgraphs" / "test").glob("*.tfrecord"))
    records = tf.stack(list(tf.data.TFRecordDataset(str(files[0])).take(20)))
    rows = predict_test(
        load_model(run / "models/R2b/seed-0"),
        RunDirectory(run),
        RunDirectory(run).description(),
        read_manifest(run / "subgraphs", "subgraphs", "e2egrec subgraphs"),
    )
    found = served(examples=records)["reward"].numpy()
    np.testing.assert_allclose(found, rows["predicted_reward"][:20], atol=1e-5)


def test_a_model_of_another_graph_is_refused_before_anything_is_trained(data, job, tmp_path):
    refuse(
        "train", data, "--out", job[0], "--models", "R0,R5-random-graph",
        says=("`R5-random-graph` needs `graph.edges: random`, but the description says `swing`",),
    )  # fmt: skip
    random = rewrite(data, lambda c: c["graph"].update(edges="random"), tmp_path / "random.yaml")
    refuse(
        "train", random, "--data", data.parent, "--out", tmp_path / "run", "--models", "R5",
        says=("`R5` needs `graph.edges: swing`, but the description says `random`",),
    )  # fmt: skip

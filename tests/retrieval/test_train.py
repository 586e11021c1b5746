"""A training from the split to the published artefact, whole and interrupted."""

import json

import numpy as np
import pytest
from rich.console import Console

from tests.retrieval.toys import clusters
from tests.toy_data import toy_description
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval import train as train_module
from tf_e2egrec.retrieval.full_ranking import evaluate_ranking
from tf_e2egrec.retrieval.train import finished_model, split_fingerprint, train_recommender
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph
from tf_e2egrec.training.training_progress import TrainingProgress

QUIET = Console(quiet=True)
SETTINGS = {"learning_rate": 0.02, "batch_size": 32, "epochs": 12, "patience": 3}


def described(**changes):
    settings = SETTINGS | changes
    spec = RecommendSpec(top=[5, 10], dim=8, mf=settings, lightgcn=settings, lightgode=settings)
    return toy_description().model_copy(update={"recommend": spec})


def trained(directory, split, description, model="mf", seed=0):
    return train_recommender(directory, description, split, UserItemGraph(split.train), model, seed, QUIET)


def test_the_best_epoch_is_kept_and_its_time_is_told(tmp_path):
    split, description = clusters(), described(learning_rate=0.2)
    manifest = trained(tmp_path / "m", split, description)
    history = json.loads((tmp_path / "m" / "history.json").read_text())
    assert history["measured_on"] == "valid"
    curve = [one["ndcg@10"] for one in history["measured"]]
    chosen = manifest.details["chosen"]
    assert chosen["ndcg@10"] == max(curve)
    assert chosen["epoch"] == 1 + int(np.argmax(curve))
    assert len(curve) == manifest.counters["epochs"] <= 12
    stopped = len(curve) < 12
    assert len(curve) - chosen["epoch"] == 3 or not stopped
    assert 0 < chosen["seconds"] <= manifest.details["seconds"]
    assert manifest.counters["parameters"] == (60 + 40) * 8
    clock = [one["seconds"] for one in history["measured"]]
    assert clock == sorted(clock)

    arrays = np.load(tmp_path / "m" / "vectors.npz")
    valid = evaluate_ranking(arrays["users"], arrays["items"], split.train, split.valid, [5, 10])
    assert valid == pytest.approx({name: chosen[name] for name in valid})
    test = evaluate_ranking(arrays["users"], arrays["items"], split.train + split.valid, split.test, [5, 10])
    assert test == pytest.approx(manifest.details["test"])
    np.testing.assert_array_equal(arrays["item_keys"], split.item_keys)


def test_without_validation_every_epoch_is_trained_and_the_last_counts(tmp_path):
    split = clusters()
    split = split._replace(train=split.train + split.valid, valid=split.valid * 0)
    split.valid.eliminate_zeros()
    manifest = trained(tmp_path / "m", split, described(epochs=5, evaluate_every=2))
    history = json.loads((tmp_path / "m" / "history.json").read_text())
    assert history["measured_on"] == "test"
    assert [one["epoch"] for one in history["measured"]] == [2, 4, 5]
    assert manifest.details["chosen"]["epoch"] == 5


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


@pytest.mark.parametrize(
    ("model", "changes"), [("mf", {}), ("lightgcn", {"loss": "softmax", "schedule": "cosine"})]
)
def test_an_interrupted_training_ends_as_if_nothing_had_happened(tmp_path, monkeypatch, model, changes):
    split, description = clusters(), described(epochs=4, **changes)
    whole = trained(tmp_path / "whole", split, description, model)

    class Interrupting(TrainingProgress):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 2:
                raise Interruption

    monkeypatch.setattr(train_module, "TrainingProgress", Interrupting)
    with pytest.raises(Interruption):
        trained(tmp_path / "again", split, description, model)
    assert not (tmp_path / "again").exists()
    monkeypatch.setattr(train_module, "TrainingProgress", TrainingProgress)
    again = trained(tmp_path / "again", split, description, model)
    assert again.details["test"] == whole.details["test"]
    for name in ("users", "items", "embeddings"):
        np.testing.assert_array_equal(
            np.load(tmp_path / "again" / "vectors.npz")[name],
            np.load(tmp_path / "whole" / "vectors.npz")[name],
        )
    curves = [
        json.loads((tmp_path / one / "history.json").read_text())["measured"] for one in ("whole", "again")
    ]
    assert [one["ndcg@10"] for one in curves[0]] == [one["ndcg@10"] for one in curves[1]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "whole"]


def test_what_is_up_to_date_is_known_by_settings_and_data(tmp_path):
    split, description = clusters(), described(epochs=1)
    data = split_fingerprint(split)
    manifest = trained(tmp_path / "m", split, description)
    assert read_manifest(tmp_path / "m", "recommend", "") == manifest
    assert finished_model(tmp_path / "m", description, data, "mf", 0) == manifest
    assert finished_model(tmp_path / "m", description, data, "mf", 1) is None
    assert finished_model(tmp_path / "m", described(epochs=2), data, "mf", 0) is None
    other = split_fingerprint(clusters(seed=1))
    assert other != data
    assert finished_model(tmp_path / "m", description, other, "mf", 0) is None
    assert finished_model(tmp_path / "none", description, data, "mf", 0) is None

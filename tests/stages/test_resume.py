"""An interrupted `e2egrec train` goes on where it stopped and ends as if nothing had happened."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.cli.job import e2egrec, rewrite
from tf_e2egrec.stages import train
from tf_e2egrec.stages.run_directory import RunDirectory

EPOCHS = 2


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


@pytest.fixture
def description(data, tmp_path):
    """Dropout, shuffling, GradNorm and early stopping, over two epochs of several steps."""

    def change(content):
        content["training"].update(epochs=EPOCHS, patience=1, batch_size=256, models=["R5"])
        content["model"].update(dropout=0.2)

    return rewrite(data, change, tmp_path / "changed.yaml")


def run_train(description, data, run, model="R5"):
    return e2egrec("train", description, "--data", data.parent, "--out", run, "--models", model, "--force")


def interrupt_at(monkeypatch, epoch, step):
    """Raise from within the fit, after a step."""

    class Interrupting(train.TrainingProgress):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if (self._completed // self._steps, batch + 1) == (epoch, step):
                self.on_train_end()
                raise Interruption

    monkeypatch.setattr(train, "TrainingProgress", Interrupting)


def equal_models(again, whole):
    """Also in what is frozen: a cascade that goes on has the graph that was pretrained before."""
    for ours, theirs in zip(again.weights, whole.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=ours.name)


@pytest.mark.slow
def test_a_cascade_interrupted_in_the_second_epoch(description, data, run_copy, monkeypatch):
    monkeypatch.setattr(train, "_CHECKPOINT_STEPS", 3)
    target = RunDirectory(run_copy).model("R2b", 0)
    assert run_train(description, data, run_copy, "R2b").code == 0
    whole, manifest = train.load_model(target), json.loads((target / "manifest.json").read_text())
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1, 5)
        with pytest.raises(Interruption):
            run_train(description, data, run_copy, "R2b")
    monkeypatch.setattr(train, "pretrain_graph", lambda *_: pytest.fail("pretrained a second time"))
    done = run_train(description, data, run_copy, "R2b")
    assert done.code == 0, done.err
    assert "goes on at epoch 2, after 3 steps" in done.out
    equal_models(train.load_model(target), whole)
    again = json.loads((target / "manifest.json").read_text())
    first, second = (one["details"]["pretraining"] for one in (manifest, again))
    assert first.pop("seconds") > 0 < second.pop("seconds")  # of the clock, the rest of the seed
    assert first == second


@pytest.mark.slow
def test_interrupted_in_the_second_epoch(description, data, run_copy, monkeypatch):
    monkeypatch.setattr(train, "_CHECKPOINT_STEPS", 3)
    target = RunDirectory(run_copy).model("R5", 0)
    assert run_train(description, data, run_copy).code == 0
    whole, whole_log = train.load_model(target), (target / "history.json").read_text()
    checkpoint = target.with_name(".seed-0.checkpoint")
    assert not checkpoint.exists()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1, 5)
        with pytest.raises(Interruption):
            run_train(description, data, run_copy)
    assert checkpoint.exists()
    before = (target / "history.json").read_text()
    assert before == whole_log  # the former artefact stays until there is another
    done = run_train(description, data, run_copy)
    assert done.code == 0, done.err
    assert re.search(r"goes on at epoch 2, after 3 steps, from .*seed-0.checkpoint", done.out)
    assert not checkpoint.exists()
    again = train.load_model(target)
    for ours, theirs in zip(again.trainable_variables, whole.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6, err_msg=ours.name)
    for name in ("task_weights", "initial_losses", "steps"):
        ours, theirs = (getattr(network.balancer, name).numpy() for network in (again, whole))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=name)
    logs = json.loads((target / "history.json").read_text()), json.loads(whole_log)
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, rtol=1e-5, err_msg=name)
    assert set(json.loads((target / "task_weights.json").read_text())["task_weights"]) == {"ssl", "ltr"}
    tags = set()
    for path in (target / "tensorboard").rglob("*.tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_task_weight/ssl", "effective_rank/x", "gate/gnn"} <= tags


def test_a_checkpoint_of_another_description_is_left_out(description, data, run_copy, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "_CHECKPOINT_STEPS", 3)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 0, 4)
        with pytest.raises(Interruption):
            run_train(description, data, run_copy)
    other = rewrite(
        description, lambda content: content["training"].update(epochs=1), tmp_path / "other.yaml"
    )
    done = run_train(other, data, run_copy)
    assert done.code == 0
    assert "left out the checkpoint in" in done.out and "goes on" not in done.out

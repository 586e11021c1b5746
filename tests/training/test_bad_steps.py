"""Steps that are not finite are left out: the run is the one without their batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_model, toy_records
from tests.training.toy_tasks import ToyEmbedding
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.training import (
    Checkpoints,
    FusedAdam,
    GradNorm,
    LossGuard,
    MultiTaskModel,
    RowSparseAdam,
    epoch_dataset,
)
from tf_e2egrec.training.bad_steps import BadSteps

BATCH, GOOD = 4, 6
BAD = {2: np.inf, 5: np.nan}  # by the step, from 0, of an epoch of eight
VALUES = np.linspace(-1, 1, GOOD * BATCH).astype("f4")
IDS = np.random.default_rng(0).integers(0, 50, GOOD * BATCH)


def rows(bad):
    """(ids, labels) of an epoch, with a batch of infinite or missing labels at each step of `bad`."""
    ids, labels = list(IDS.reshape(-1, BATCH)), list(VALUES.reshape(-1, BATCH))
    for step, value in bad.items():
        ids.insert(step, np.array([1, 2, 3, 49]))
        labels.insert(step, np.array([0, value, 0, 1], "f4"))
    return np.concatenate(ids), np.concatenate(labels)


def fit(bad, epochs=2, folder=None, skipped=None, callbacks=(), **options):
    tf.keras.utils.set_random_seed(0)
    model = ToyEmbedding()
    model.compile(FusedAdam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2))
    ids, labels = rows(bad)

    def make(seed):
        return tf.data.Dataset.from_tensor_slices((ids, labels)).batch(BATCH)

    def batch_at(epoch, step):
        return next(iter(epoch_dataset(make, 0, epoch + 1, (epoch, step))))

    balance, said = GradNorm(warmup_steps=3), []
    checkpoints = [Checkpoints(folder, "a", 1, [balance])] if folder else []
    if checkpoints:
        skipped = checkpoints[0].note.setdefault("skipped", [])
    guard = LossGuard(
        "toy",
        batch_at,
        lambda inputs: f"(ids {inputs.numpy().tolist()})",
        skipped=skipped,
        warn=said.append,
        **options,
    )
    data = epoch_dataset(make, 0, epochs, checkpoints[0].start if checkpoints else (0, 0))
    model.fit(
        data,
        epochs=epochs,
        steps_per_epoch=len(ids) // BATCH,
        verbose=0,
        callbacks=[guard, *checkpoints, balance, *callbacks],
    )
    return model, guard, said


def state(model):
    """Everything that a checkpoint keeps."""
    found = [*model.weights, *model.optimizer.variables, *model.embedding_optimizer.variables]
    return [np.asarray(value) for value in found]


def same(one, other):
    for ours, theirs in zip(state(one), state(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert np.isfinite(ours).all()


@pytest.fixture(scope="module")
def without():
    """The model of a run that never meets a bad batch."""
    return fit({})[0]


def test_the_run_equals_one_without_the_bad_batches(without):
    model, guard, said = fit(BAD, skip=4)
    same(model, without)  # weights, slots, task weights and metrics
    assert model.history.history == without.history.history
    places = [(one["epoch"], one["step"]) for one in guard.skipped]
    assert places == [(1, 3), (1, 6), (2, 3), (2, 6)]
    assert guard.skipped[0]["batch"] == "(ids [1, 2, 3, 49])"
    assert guard.skipped[0]["reason"] == "labels holds an infinity in 1 of 4 rows"
    assert guard.skipped[1]["reason"] == "the loss is not finite"
    assert said[1] == (
        "toy leaves out epoch 1, step 6 (ids [1, 2, 3, 49]): the loss is not finite (2 of at most 4)"
    )


def test_one_more_stops_and_leaves_the_state_of_the_step_before(tmp_path, without):
    with pytest.raises(E2EGRecError) as caught:
        fit(BAD, skip=3, folder=tmp_path / "run")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith("toy has met 4 bad batches, one more than `training.skip_bad_batches` allows")
    assert "the last at epoch 2, step 6 (ids [1, 2, 3, 49]): the loss is not finite" in sentence
    left = Checkpoints(tmp_path / "run", "a")
    assert left.start == (1, 5)
    assert [one["step"] for one in left.note["skipped"]] == [3, 6, 3]
    # With more allowed, it goes on from there.
    model, guard, _ = fit(BAD, skip=4, folder=tmp_path / "run")
    same(model, without)
    assert len(guard.skipped) == 4


class Interrupts(tf.keras.callbacks.Callback):
    """Ctrl-C after some steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [4, 11])
def test_an_interrupted_run_remembers_what_it_left_out(tmp_path, without, steps):
    with pytest.raises(KeyboardInterrupt):
        fit(BAD, skip=4, folder=tmp_path / "run", callbacks=[Interrupts(steps)])
    model, guard, said = fit(BAD, skip=4, folder=tmp_path / "run")
    same(model, without)
    assert len(guard.skipped) == 4
    assert len(said) < 4


def test_an_explosion_is_noticed_after_a_bad_batch():
    with pytest.raises(E2EGRecError, match=r"epoch 1, step 6 .*it explodes, every input is finite"):
        fit({2: np.inf, 5: 1e9}, skip=4)


class Root(MultiTaskModel):
    """A finite loss, whose gradient is infinite where an input is zero."""

    def __init__(self):
        super().__init__()
        self.shared = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        self.shared.build((None, 1))
        self.average = tf.Variable(1.0, trainable=False)
        self.set_tasks(("root",))

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def task_losses(self, inputs, labels, training):
        self.average.assign(0.9 * self.average + 0.1 * tf.reduce_mean(inputs))
        return {"root": tf.reduce_mean(tf.sqrt(self.shared(inputs)))}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_gradient_that_is_not_finite(eagerly, scaled):
    def fitted(values, skip):
        model = Root()
        optimizer = tf.keras.optimizers.SGD(0.1)
        model.compile(
            tf.keras.mixed_precision.LossScaleOptimizer(optimizer) if scaled else optimizer,
            run_eagerly=eagerly,
        )
        guard = LossGuard("roots", skip=skip, warn=lambda sentence: None)
        data = tf.data.Dataset.from_tensor_slices((values, values)).batch(1)
        model.fit(data, verbose=0, callbacks=[guard])
        return model, guard

    good, bad = tf.constant([[1.0], [4.0]]), tf.constant([[1.0], [0.0], [4.0]])
    (model, guard), (without, _) = fitted(bad, 1), fitted(good, 0)
    np.testing.assert_array_equal(model.shared_kernel, without.shared_kernel)
    if scaled:  # left out by the optimiser, whose scale was too large for all it knows
        assert guard.skipped == []
    else:
        assert [one["reason"] for one in guard.skipped] == ["the gradient of `kernel:0` is not finite"]
        np.testing.assert_array_equal(model.average, without.average)


def test_the_full_model_is_unchanged_by_a_bad_batch():
    model = toy_model()
    model.compile(FusedAdam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2))
    model.bad_steps = BadSteps()
    graph, labels = toy_batch(toy_records(8))
    model.train_step((graph, labels))
    before = state(model)
    bad = {name: tf.where(tf.range(tf.size(one)) == 2, np.inf, one) for name, one in labels.items()}
    model.train_step((graph, bad))
    for ours, theirs in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.bad_steps.count.numpy() == 1
    model.train_step((graph, labels))
    assert any((ours != theirs).any() for ours, theirs in zip(state(model), before, strict=True))


def test_nothing_is_asked_by_default():
    def operations(model):
        batch = tf.constant(IDS[:BATCH]), tf.constant(VALUES[:BATCH])
        step = tf.function(lambda *data: model.train_step(data)).get_concrete_function(*batch)
        return {operation.type for operation in step.graph.get_operations()}

    model = ToyEmbedding()
    model.compile(FusedAdam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2))
    model.build_optimizers()
    assert "IsFinite" not in operations(model)
    model.bad_steps = BadSteps()
    assert "IsFinite" in operations(model)


def test_where_it_is_impossible(monkeypatch):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="needs a MultiTaskModel"):
        model.fit(tf.ones((4, 1)), tf.ones((4, 1)), verbose=0, callbacks=[LossGuard("a line", skip=1)])
    several = Root()
    several.bad_steps = BadSteps()
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: SimpleNamespace(num_replicas_in_sync=2))
    with pytest.raises(ValueError, match="one replica"):
        several.train_step((tf.ones((1, 1)), tf.ones((1, 1))))

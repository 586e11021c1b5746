"""A loss that is not finite, or explodes, stops a training with step, batch and tensor; the last checkpoint stays good."""

import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_records
from tests.training.toy_tasks import ToyEmbedding
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.training import Checkpoints, LossGuard, epoch_dataset
from tf_e2egrec.training.loss_guard import named_tensors

STEPS, BATCH = 6, 4
IDS = np.arange(STEPS * BATCH)


def labels(bad=None, value=np.inf):
    values = np.linspace(-1, 1, STEPS * BATCH).astype("f4")
    if bad is not None:
        values[bad] = value
    return values


def fit(values, folder=None, epochs=1, guarded=True, first_bad_epoch=0, **options):
    tf.keras.utils.set_random_seed(0)
    model = ToyEmbedding()
    model.compile(tf.keras.optimizers.SGD(options.pop("rate", 1e-2)))

    def make(epoch):  # the seed is the epoch's number
        shown = tf.where(epoch >= first_bad_epoch, values, labels())
        return tf.data.Dataset.from_tensor_slices((IDS, shown)).batch(BATCH)

    def batch_at(epoch, step):
        return next(iter(epoch_dataset(make, 0, epoch + 1, (epoch, step))))

    def identify(inputs):
        return f"(ids {inputs.numpy().tolist()})"

    guard = LossGuard("toy", batch_at if guarded else None, identify if guarded else None, **options)
    checkpoints = [Checkpoints(folder, "a", 1)] if folder else []
    start = checkpoints[0].start if checkpoints else (0, 0)
    data = epoch_dataset(make, 0, epochs, start)
    model.fit(data, epochs=epochs, steps_per_epoch=STEPS, verbose=0, callbacks=[guard, *checkpoints])
    return model


def refused(*arguments, **options):
    with pytest.raises(E2EGRecError) as caught:
        fit(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("value", "loss"), [(np.inf, "inf"), (-np.inf, "inf"), (np.nan, "nan")])
def test_a_loss_that_is_not_finite_names_step_batch_and_tensor(value, loss):
    said = refused(labels(13, value))
    assert f"the loss of toy is {loss} at epoch 1, step 4 (ids [12, 13, 14, 15]):" in said
    if np.isinf(value):
        assert "labels holds an infinity in 1 of 4 rows" in said
    else:  # which may mean missing, so the tensor is the loss that it makes
        assert "`sum_loss` is not finite and the weights `" in said
    assert "mend the data, or lower `training.learning_rate`" in said


def test_an_explosion_stops_before_it_is_infinite():
    assert "it explodes, every input is finite" in refused(labels(9, 1e9))
    assert "the loss of toy is" in refused(labels(), rate=1e6, epochs=3)
    fit(labels(9, 50.0))  # large, but no explosion
    with pytest.raises(E2EGRecError, match="step 3"):
        fit(labels(9, 50.0), growth=10.0)


def test_the_later_epochs_are_watched_too():
    with pytest.raises(
        E2EGRecError, match=r"epoch 2, step 4 .*ids .12, 13, 14, 15.*: labels holds an infinity"
    ):
        fit(labels(13), epochs=3, first_bad_epoch=1)


def test_without_the_data_the_sentence_has_no_batch():
    said = refused(labels(13), guarded=False)
    assert "at epoch 1, step 4: " in said and "is not finite" in said


def test_the_last_checkpoint_is_of_the_step_before_and_good(tmp_path):
    """With the data mended, the run goes on from it and ends like one that never met the bad batch."""
    refused(labels(13), tmp_path / "run")
    assert Checkpoints(tmp_path / "run", "a").start == (0, 3)
    again, whole = fit(labels(), tmp_path / "run"), fit(labels())
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert np.isfinite(ours).all()


def test_sound_losses_pass_unchanged():
    guarded = fit(labels())
    tf.keras.utils.set_random_seed(0)
    plain = ToyEmbedding()
    plain.compile(tf.keras.optimizers.SGD(1e-2))
    plain.fit(tf.data.Dataset.from_tensor_slices((IDS, labels())).batch(BATCH), verbose=0)
    for ours, theirs in zip(guarded.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_names_of_a_batch_graph():
    graph, wanted = toy_batch(toy_records(3))
    names = [name for name, _ in named_tensors({"inputs": graph, "labels": wanted})]
    assert {"inputs/item/length", "inputs/_readout/item_age", "inputs/swing/weight", "labels/stay"} <= set(
        names
    )
    assert [name for name, _ in named_tensors({"labels": (tf.ones(2), None)})] == ["labels/0"]

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_tasks import ToyEmbedding
from tf_e2egrec.training import Checkpoints, GradNorm, RowSparseAdam, epoch_dataset

ROOT = Path(__file__).parents[2]
EPOCHS, STEPS, BATCH = 4, 9, 8


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


class Interrupt(tf.keras.callbacks.Callback):
    def __init__(self, epoch, step):
        super().__init__()
        self.at, self.epoch = (epoch, step), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch + 1) == self.at:
            raise Interruption


def batches(seed):
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(0, 50, STEPS * BATCH), rng.normal(size=STEPS * BATCH).astype("f4")
    return tf.data.Dataset.from_tensor_slices((ids, labels)).shuffle(100, seed=seed).batch(BATCH)


def train(directory, interrupt=(), every=2, model_seed=0, fingerprint="a", mode="min"):
    """Train until the interruption, or to the end; everything is made anew, as in another process."""
    tf.keras.utils.set_random_seed(model_seed)
    model = ToyEmbedding(dropout=0.3)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(1e-2, jit_compile=False), embedding_optimizer=RowSparseAdam(1e-2)
    )
    balance = GradNorm(warmup_steps=12, freeze_after=0.75, freeze_unit="fraction")
    stopping = tf.keras.callbacks.EarlyStopping("val_loss", mode=mode, patience=2, restore_best_weights=True)
    checkpoints = Checkpoints(directory, fingerprint, every, [balance, stopping])
    model.fit(
        epoch_dataset(batches, 3, EPOCHS, checkpoints.start),
        validation_data=batches(0),
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        verbose=0,
        callbacks=[checkpoints, balance, stopping, *(Interrupt(*at) for at in interrupt)],
    )
    return model, balance, stopping, checkpoints


def everything(model):
    """Weights, task weights, L(0), and the optimisers' slots."""
    return [
        *model.get_weights(),
        *(v.numpy() for o in (model.optimizer, model.embedding_optimizer) for v in o.variables),
    ]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stops", [[(0, 5)], [(1, 4), (2, 7)], [(2, 1)], [(3, 9)], [(1, 9)]])
def test_resumed_amid_an_epoch_it_ends_as_if_never_interrupted(uninterrupted, tmp_path, stops):
    whole, whole_balance, whole_stopping, _ = uninterrupted
    for i, stop in enumerate(stops):
        with pytest.raises(Interruption):
            train(
                tmp_path, [stop], model_seed=i
            )  # once resumed, nothing may depend on the process's own seed
    model, balance, stopping, checkpoints = train(tmp_path, model_seed=99)
    assert checkpoints.start > (0, 0)
    for ours, theirs in zip(everything(model), everything(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.balancer.initial_losses, whole.balancer.initial_losses, atol=1e-6)
    np.testing.assert_allclose(model.balancer.task_weights, whole.balancer.task_weights, atol=1e-6)
    for ours, theirs in zip(balance.history, whole_balance.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert model.history.epoch == whole.history.epoch
    for name, values in whole.history.history.items():
        np.testing.assert_allclose(model.history.history[name], values, rtol=1e-5, err_msg=name)
    assert (stopping.best_epoch, stopping.wait) == (whole_stopping.best_epoch, whole_stopping.wait)


def test_a_checkpoint_of_another_fingerprint_is_left_out(tmp_path):
    with pytest.raises(Interruption):
        train(tmp_path, [(1, 3)])
    assert Checkpoints(tmp_path, "a").start == (1, 2)
    *_, checkpoints = train(tmp_path, fingerprint="b")
    assert checkpoints.start == (0, 0) and checkpoints.is_foreign


def test_the_best_weights_survive_an_interruption(tmp_path):
    """Early stopping goes back to an epoch that ended before the interruption, at the same epoch as without it."""
    model, _, whole, _ = train(tmp_path / "whole", mode="max")  # the loss falls: the first epoch is the best
    assert (whole.best_epoch, len(model.history.epoch)) == (0, 3)
    with pytest.raises(Interruption):
        train(tmp_path / "rest", [(2, 5)], mode="max")
    assert [path.name for path in (tmp_path / "rest").glob("best-*.npz")] == ["best-1-0.npz"]
    again, _, stopping, _ = train(tmp_path / "rest", model_seed=5, mode="max")
    assert again.history.epoch == model.history.epoch
    for ours, theirs in zip(everything(again), everything(model), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert stopping.stopped_epoch == whole.stopped_epoch == 2


def interrupted(folder, at=(2, 5)):
    """The directory of a training that saved (2, 2) and (2, 4) at last."""
    with pytest.raises(Interruption):
        train(folder, [at])
    return folder


def test_the_last_two_checkpoints_are_kept(tmp_path):
    interrupted(tmp_path)
    numbers = {f"{2 * STEPS + step}" for step in (2, 4)}
    for pattern in ("state-{}.json", "ckpt-{}.index", "ckpt-{}.data-00000-of-00001"):
        found = {path.name for path in tmp_path.glob(pattern.format("*"))}
        assert found == {pattern.format(number) for number in numbers}
    assert Checkpoints(tmp_path, "a").start == (2, 4)


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


NEWEST, FORMER = 2 * STEPS + 4, 2 * STEPS + 2
DAMAGES = {
    "a bit of the weights": (
        lambda d: flip(d / f"ckpt-{NEWEST}.data-00000-of-00001"),
        "checksum of ckpt-22.data",
    ),
    "a bit of the index": (lambda d: flip(d / f"ckpt-{NEWEST}.index"), "checksum of ckpt-22.index"),
    "half of the weights": (
        lambda d: cut(d / f"ckpt-{NEWEST}.data-00000-of-00001"),
        "checksum of ckpt-22.data",
    ),
    "no weights": (
        lambda d: (d / f"ckpt-{NEWEST}.data-00000-of-00001").unlink(),
        "ckpt-22.data.* is missing",
    ),
    "a bit of the state": (
        lambda d: flip(d / f"state-{NEWEST}.json"),
        "checksum of state-22.json|cannot be read",
    ),
    "half of the state": (lambda d: cut(d / f"state-{NEWEST}.json"), "state-22.json cannot be read"),
    "an empty state": (lambda d: (d / f"state-{NEWEST}.json").write_text(""), "state-22.json cannot be read"),
    "a state of another kind": (lambda d: (d / f"state-{NEWEST}.json").write_text("[1]"), "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_is_left_out_and_the_end_is_the_same(uninterrupted, tmp_path, damage):
    spoil, says = DAMAGES[damage]
    spoil(interrupted(tmp_path))
    with pytest.warns(UserWarning, match=says):
        assert Checkpoints(tmp_path, "a").start == (2, 2)
    if damage == "a bit of the weights":
        with pytest.warns(UserWarning, match=says):
            model, *_ = train(tmp_path, model_seed=77)
        for ours, theirs in zip(everything(model), everything(uninterrupted[0]), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_every_flipped_byte_of_a_checkpoint_is_noticed(tmp_path):
    interrupted(tmp_path)
    files = [path for path in tmp_path.iterdir() if path.is_file() and str(NEWEST) in path.name]
    assert len(files) == 3
    for path in files:
        whole = path.read_bytes()
        for place in np.linspace(0, 1, 20):
            flip(path, place)
            with pytest.warns(UserWarning, match="is damaged"):
                assert Checkpoints(tmp_path, "a").start == (2, 2)
            path.write_bytes(whole)
    assert Checkpoints(tmp_path, "a").start == (2, 4)


def test_with_both_checkpoints_damaged_the_run_starts_anew(uninterrupted, tmp_path):
    interrupted(tmp_path)
    for number in (NEWEST, FORMER):
        flip(tmp_path / f"ckpt-{number}.data-00000-of-00001")
    with pytest.warns(UserWarning, match="is damaged"):
        model, *_, checkpoints = train(tmp_path)
    assert checkpoints.start == (0, 0)
    for ours, theirs in zip(everything(model), everything(uninterrupted[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_damaged_best_weights_are_noticed(tmp_path):
    with pytest.raises(Interruption):
        train(tmp_path, [(2, 5)], mode="max")
    flip(tmp_path / "best-1-0.npz")
    with pytest.warns(UserWarning, match=r"checksum of best-1-0\.npz"):
        assert Checkpoints(tmp_path, "a").start == (0, 0)  # both checkpoints need them


def test_a_save_that_was_cut_short_leaves_the_former_checkpoint(tmp_path):
    interrupted(tmp_path, (1, 3))
    (tmp_path / "ckpt-99.data-00000-of-00001").write_bytes(b"half")  # without the state that vouches for it
    (tmp_path / "ckpt-98_temp").mkdir()
    assert Checkpoints(tmp_path, "a").start == (1, 2)
    with pytest.raises(Interruption):
        train(tmp_path, [(1, 5)])
    assert not list(tmp_path.glob("ckpt-9*"))


def test_the_directory_goes_with_the_work_and_stays_when_that_raises(tmp_path):
    folder = tmp_path / "checkpoint"
    with Checkpoints(folder, "a"):
        folder.mkdir()
    assert not folder.exists()
    with pytest.raises(Interruption), Checkpoints(folder, "a"):
        folder.mkdir()  # event files, say, but no checkpoint yet
        raise Interruption
    assert not folder.exists()
    with pytest.raises(Interruption), Checkpoints(folder, "a"):
        train(folder, [(1, 3)])
    assert folder.exists()


def test_any_keras_model_can_be_resumed(tmp_path):
    x = tf.random.stateless_normal((STEPS * BATCH, 3), (1, 2))

    def fit(interrupt=()):
        tf.keras.utils.set_random_seed(0)
        model = tf.keras.Sequential(
            [tf.keras.layers.Dense(4, input_shape=(3,)), tf.keras.layers.Dropout(0.5, force_generator=True)]
        )
        model.compile(tf.keras.optimizers.RMSprop(0.01, momentum=0.9), "mse", metrics=["mae"])
        checkpoints = Checkpoints(tmp_path / "any", "a", 3)
        data = epoch_dataset(
            lambda seed: tf.data.Dataset.from_tensor_slices((x, x[:, :1])).shuffle(90, seed).batch(BATCH),
            1,
            2,
            checkpoints.start,
        )
        callbacks = [checkpoints, *(Interrupt(*at) for at in interrupt)]
        with checkpoints:
            model.fit(data, epochs=2, steps_per_epoch=STEPS, verbose=0, callbacks=callbacks)
        return model

    whole = fit()
    with pytest.raises(Interruption):
        fit([(0, 7)])
    for ours, theirs in zip(fit().get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_number_of_steps_is_needed(tmp_path):
    model = ToyEmbedding()
    model.compile("adam")
    data = batches(0).filter(lambda *_: True)  # of a length that Keras cannot know
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(data, verbose=0, callbacks=[Checkpoints(tmp_path, "a")])


@pytest.mark.slow
def test_killed_amid_an_epoch(uninterrupted, tmp_path):
    """kill -9: no `finally`, no interpreter left to tidy up."""
    code = (
        "import os, signal, sys, tf_e2egrec\n"
        "from tests.training import test_checkpoints as run\n"
        "run.Interrupt.on_train_batch_end = lambda self, batch, logs=None: (self.epoch, batch + 1) == self.at and "
        "os.kill(os.getpid(), signal.SIGKILL)\n"
        "run.train(sys.argv[1], [(2, 7)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    model, *_, checkpoints = train(tmp_path, model_seed=50)
    assert checkpoints.start == (2, 6)
    for ours, theirs in zip(everything(model), everything(uninterrupted[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)

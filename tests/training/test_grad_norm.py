import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_tasks import ToyTasks, compiled, toy_data
from tf_e2egrec.training import GradNorm


@pytest.mark.parametrize("sigmas", [(1.0, 100.0), (1.0, 10.0, 100.0)])
def test_toy_the_weight_of_the_small_task_rises(sigmas):
    tf.keras.utils.set_random_seed(0)
    model = compiled(ToyTasks(sigmas))
    callback = GradNorm(gamma=0.12, warmup_steps=5)
    model.fit(toy_data(), epochs=1, verbose=0, callbacks=[callback])
    weights = model.balancer.task_weights.numpy()
    assert weights[0] > 1.3 and weights[0] == weights.max() and weights[-1] == weights.min()
    assert weights.sum() == pytest.approx(len(sigmas), abs=1e-4)
    assert set(callback.mean_weights()) == set(model.balancer.tasks)


def weights_by_epoch(model, epochs, steps=4, **schedule):
    model.fit(toy_data(steps), epochs=epochs, verbose=0, callbacks=[GradNorm(warmup_steps=1, **schedule)])
    return model.history.history["task_weight/task_0"]


def changes(weights):
    """Whether the weight changed, from one epoch to the next."""
    return [abs(b - a) > 1e-6 for a, b in itertools.pairwise(weights)]


@pytest.mark.parametrize(
    "schedule",
    [
        {"freeze_after": 2},
        {"freeze_after": 8, "freeze_unit": "steps"},
        {"freeze_after": 0.5, "freeze_unit": "fraction"},
    ],
)
def test_freezing_after_half_the_run(schedule):
    weights = weights_by_epoch(compiled(ToyTasks((1.0, 100.0))), 4, **schedule)
    assert weights[0] != 1.0
    assert changes(weights) == [True, False, False]


def test_freezing_amid_an_epoch():
    model, seen = compiled(ToyTasks((1.0, 100.0))), []
    record = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(float(model.balancer.task_weights[0]))
    )
    callback = GradNorm(warmup_steps=1, freeze_after=3, freeze_unit="steps")
    model.fit(toy_data(6), verbose=0, callbacks=[callback, record])
    assert changes([1.0, *seen]) == [False, True, True, False, False, False]


def test_a_second_run_counts_its_own_steps():
    model = compiled(ToyTasks((1.0, 100.0)))
    weights_by_epoch(model, 3, freeze_after=2)
    assert changes(
        [
            float(model.balancer.task_weights[0]),
            *weights_by_epoch(model, 2, freeze_after=4, freeze_unit="steps"),
        ]
    ) == [
        True,
        False,
    ]


def test_the_log_holds_every_quantity_and_tensorboard_shows_it(tmp_path):
    model = compiled(ToyTasks((1.0, 10.0)))
    board = tf.keras.callbacks.TensorBoard(str(tmp_path), write_graph=False)
    callback = GradNorm(warmup_steps=1)
    history = model.fit(toy_data(3), epochs=2, verbose=0, callbacks=[callback, board]).history
    names = {
        f"{what}/task_{i}"
        for what in ("task_weight", "gradient_norm", "inverse_rate", "loss_ratio")
        for i in (0, 1)
    }
    assert names <= set(history)
    assert [entry["loss_ratio/task_1"] for entry in callback.history] == history["loss_ratio/task_1"]
    tags = set()
    for path in tmp_path.rglob("*.tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {f"epoch_{name}" for name in names} <= tags


def test_export_and_a_static_rerun(tmp_path):
    model = compiled(ToyTasks((1.0, 100.0)))
    callback = GradNorm(warmup_steps=4)
    seen = []
    record = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(model.balancer.task_weights.numpy())
    )
    model.fit(toy_data(20), verbose=0, callbacks=[callback, record])
    callback.export(tmp_path / "weights.json")
    exported = json.loads((tmp_path / "weights.json").read_text())
    expected = np.mean(seen[4:], axis=0)
    np.testing.assert_allclose(list(exported["task_weights"].values()), expected, rtol=1e-5)
    np.testing.assert_allclose(list(exported["last_task_weights"].values()), seen[-1], rtol=1e-6)
    assert exported["steps"] == 20
    rerun = compiled(ToyTasks((1.0, 100.0)), task_weights=exported["task_weights"])
    rerun.fit(toy_data(3), verbose=0)
    np.testing.assert_allclose(rerun.balancer.task_weights, expected, rtol=1e-5)


def test_the_weights_start_at_the_priors_unless_compile_or_an_earlier_fit_set_them():
    def first_weights(model, **kwargs):
        callback = GradNorm(warmup_steps=10, **kwargs)
        model.fit(toy_data(2), verbose=0, callbacks=[callback])
        return model.balancer.task_weights.numpy()

    new = compiled(ToyTasks((1.0, 10.0)))
    expected = [2 * 0.05 / 1.05, 2 / 1.05]
    np.testing.assert_allclose(first_weights(new, priors={"task_0": 0.05}), expected, rtol=1e-6)
    np.testing.assert_allclose(first_weights(new, priors={"task_0": 0.5}), expected, rtol=1e-6)
    np.testing.assert_allclose(first_weights(compiled(ToyTasks((1.0, 10.0)))), 1.0)
    given = compiled(ToyTasks((1.0, 10.0)), task_weights={"task_0": 0.5, "task_1": 1.5})
    np.testing.assert_allclose(first_weights(given, priors={"task_0": 0.05}), [0.5, 1.5])


def test_wrong_model_wrong_names_and_impossible_schedules_are_refused():
    with pytest.raises(ValueError, match="MultiTaskModel"):
        GradNorm().set_model(tf.keras.Sequential())
    with pytest.raises(ValueError, match="priors"):
        GradNorm(priors={"nothing": 1.0}).set_model(ToyTasks((1.0, 2.0)))
    with pytest.raises(ValueError, match="freeze_unit"):
        GradNorm(freeze_after=1, freeze_unit="days")
    with pytest.raises(ValueError, match="at most 1 as a fraction"):
        GradNorm(freeze_after=2, freeze_unit="fraction")

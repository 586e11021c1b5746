import itertools
import json

import pytest
import tensorflow as tf

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.curves import MOST_POINTS, read_curves, thin
from tf_e2egrec.comparison.processes import PlannedRun

TUNED = PlannedRun("R5@training.epochs=2", 1, "swing", "R5")
HISTORY = {
    "auc": [0.6, 0.7],
    "val_auc": [0.61, 0.65],
    "ltr_loss": [0.5, 0.4],
    "gradient_norm/ssl": [1.0, 2.0],
}
NOTHING = {"history": {}, "weights": {}}


def write_history(directory, run, history):
    trained = directory.trained(run.graph, run.model, run.seed)
    trained.mkdir(parents=True)
    (trained / "history.json").write_text(json.dumps(history))
    return trained


def write_events(trained, name, weights):
    """An event file as `Diagnostics` writes it, with something else beside the weights."""
    with tf.summary.create_file_writer(
        str(trained / "tensorboard" / "diagnostics"), filename_suffix=name
    ).as_default():
        for step, (ssl, ltr) in weights.items():
            tf.summary.scalar("task_weight/ssl", ssl, step)
            tf.summary.scalar("task_weight/ltr", ltr, step)
            tf.summary.scalar("loss_ratio/ltr", 0.5, step)
            tf.summary.histogram("embedding/item", [1.0, 2.0], step)


def write_records(trained, steps):
    """The same of constant weights, quickly."""
    folder = trained / "tensorboard" / "diagnostics"
    folder.mkdir(parents=True)
    weights = tf.compat.v1.Summary()
    for task, weight in {"ssl": 0.5, "ltr": 1.5}.items():
        weights.value.add(tag=f"task_weight/{task}", tensor=tf.make_tensor_proto(weight))
    with tf.io.TFRecordWriter(str(folder / "events.out.tfevents.1")) as writer:
        for step in range(steps):
            writer.write(tf.compat.v1.Event(step=step, summary=weights).SerializeToString())


def read(directory):
    return read_curves(directory, [TUNED])["R5"]["1"]


def test_history_by_label_and_seed(tmp_path):
    directory = CompareDirectory(tmp_path)
    write_history(directory, TUNED, HISTORY)
    runs = [TUNED, PlannedRun("R0", 0, "swing", "R0")]
    assert read_curves(directory, runs) == {
        "R5": {
            "1": {
                "history": {
                    "epoch": [1, 2],
                    **{name: HISTORY[name] for name in ("auc", "val_auc", "ltr_loss")},
                },
                "weights": {},
            }
        },
        "R0": {"0": NOTHING},
    }


def test_weights_of_gradnorm_over_steps(tmp_path):
    directory = CompareDirectory(tmp_path)
    trained = write_history(directory, TUNED, HISTORY)
    write_events(trained, "a", {0: (1.0, 1.0), 500: (0.25, 1.75), 700: (0.5, 1.5)})
    assert read(directory)["weights"] == {}  # recorded, but fixed: GradNorm left no file
    mean = {"ssl": 0.375, "ltr": 1.625}
    (trained / "task_weights.json").write_text(json.dumps({"task_weights": mean, "steps": 700}))
    assert read(directory)["weights"] == {
        "mean": mean,
        "step": [0, 500, 700],
        "tasks": {"ssl": [1.0, 0.25, 0.5], "ltr": [1.0, 1.75, 1.5]},
    }


def test_a_training_that_went_on_wrote_two_files(tmp_path):
    directory = CompareDirectory(tmp_path)
    trained = write_history(directory, TUNED, HISTORY)
    (trained / "task_weights.json").write_text('{"task_weights": {"ssl": 0.5, "ltr": 1.5}}')
    write_events(trained, "-1", {0: (1.0, 1.0), 500: (0.25, 1.75), 600: (0.5, 1.5)})
    (first,) = (trained / "tensorboard" / "diagnostics").iterdir()
    first.rename(first.with_name("events.out.tfevents.1"))
    write_events(trained, "-2", {500: (0.75, 1.25), 1000: (0.5, 1.5)})
    first.with_name("events.out.tfevents.1").write_bytes(
        first.with_name("events.out.tfevents.1").read_bytes()[:-30]  # the last record was not whole
    )
    found = read(directory)["weights"]
    assert found["step"][:2] == [0, 500]
    assert found["step"][-1] == 1000
    assert found["tasks"]["ssl"][:2] == [1.0, 0.75]


@pytest.mark.parametrize("text", ["{", "[1]", '{"auc": 3}'])
def test_what_cannot_be_read_is_left_out(tmp_path, text):
    directory = CompareDirectory(tmp_path)
    trained = directory.trained(TUNED.graph, TUNED.model, TUNED.seed)
    trained.mkdir(parents=True)
    (trained / "history.json").write_text(text)
    (trained / "task_weights.json").write_text(text)
    assert read(directory) == NOTHING


def test_curves_are_bounded(tmp_path):
    directory = CompareDirectory(tmp_path)
    epochs = 5 * MOST_POINTS + 3
    trained = write_history(directory, TUNED, {"auc": [epoch / epochs for epoch in range(epochs)]})
    (trained / "task_weights.json").write_text('{"task_weights": {"ssl": 0.5, "ltr": 1.5}}')
    write_records(trained, MOST_POINTS + 1)
    found = read(directory)
    history = found["history"]
    assert len(history["epoch"]) == len(history["auc"]) == MOST_POINTS
    assert (history["epoch"][0], history["epoch"][-1]) == (1, epochs)
    assert [round(value * epochs) + 1 for value in history["auc"]] == history["epoch"]
    assert len(found["weights"]["step"]) == len(found["weights"]["tasks"]["ssl"]) == MOST_POINTS
    assert found["weights"]["step"][-1] == MOST_POINTS


def test_thinning_keeps_the_ends_and_spaces_evenly():
    assert thin([1, 2], 3) == [1, 2]
    kept = thin(range(1000), 64)
    assert {after - before for before, after in itertools.pairwise(kept)} <= {15, 16}
    assert (kept[0], kept[-1]) == (0, 999)

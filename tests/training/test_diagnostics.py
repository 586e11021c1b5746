import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import toy_batch, toy_model, toy_records
from tf_e2egrec.training import Diagnostics, GradNorm, RowSparseAdam


class Spectrum(tf.keras.Model):
    """X is a matrix of given singular values, which a callback changes."""

    def __init__(self, values):
        super().__init__()
        self.values = tf.Variable(values, dtype=tf.float32, trainable=False)
        self.bias = self.add_weight("bias", shape=())

    def call(self, inputs):
        return inputs + self.bias

    def diagnose(self, inputs):
        rng = np.random.default_rng(0)
        left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0].astype("f4") for n in (12, 4))
        return {"x": (left[:, :4] * self.values) @ right, "z": tf.ones((12, 4))}


def fit(model, callback, epochs=1, extra=()):
    model.compile("sgd", "mse")
    x = np.ones((4, 1), "f4")
    model.fit(x, x, epochs=epochs, verbose=0, batch_size=2, callbacks=[*extra, callback])


def tags(folder):
    """Tag -> steps."""
    found = {}
    for path in sorted(folder.rglob("*.tfevents*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


@pytest.mark.parametrize(
    ("values", "rank"), [([1, 1, 1, 1], 4), ([1, 0, 0, 0], 1), ([0.5, 0.5, 0, 0], 2), ([0, 0, 0, 0], 0)]
)
def test_effective_rank(values, rank, tmp_path):
    callback = Diagnostics(tmp_path, np.ones((1, 1)), warn=lambda sentence: None)
    fit(Spectrum(values), callback)
    assert callback.latest["effective_rank/x"] == pytest.approx(rank, abs=1e-3)
    assert callback.latest["effective_rank/z"] == pytest.approx(1)
    assert callback.latest["norm/z"] == pytest.approx(2)
    assert callback.latest["deviation_mean/z"] == 0
    uneven = np.array([0.7, 0.2, 0.1])
    fit(Spectrum([7, 2, 1, 0]), callback)
    assert callback.latest["effective_rank/x"] == pytest.approx(
        np.exp(-(uneven * np.log(uneven)).sum()), rel=1e-3
    )


def test_a_collapse_is_told_once(tmp_path):
    model, sentences = Spectrum([1, 1, 1, 1]), []
    collapse = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.values.assign([1, 0.01, 0, 0]) if epoch == 1 else None
    )
    callback = Diagnostics(tmp_path, np.ones((1, 1)), every=1, warn=sentences.append)
    fit(model, callback, epochs=1, extra=[collapse])
    assert sentences == []
    fit(model, callback, epochs=4, extra=[collapse])
    assert len(sentences) == 1
    assert "the effective rank of X fell from 4.0 to 1.1" in sentences[0] and "ssl_prior" in sentences[0]


def test_a_resumed_run_knows_the_rank_of_the_start(tmp_path):
    first, sentences = Diagnostics(tmp_path, 0), []
    fit(Spectrum([1, 1, 1, 1]), first)
    again = Diagnostics(tmp_path, 0, warn=sentences.append)
    again.set_state(first.get_state())
    fit(Spectrum([1, 0, 0, 0]), again)
    assert len(sentences) == 1


def test_everything_about_the_model_reaches_tensorboard(tmp_path):
    batch = toy_batch(toy_records(24))
    model = toy_model("R5-gate-attention")
    model.compile(tf.keras.optimizers.Adam(1e-2), embedding_optimizer=RowSparseAdam(1e-2))
    callback = Diagnostics(tmp_path, batch[0], every=2)
    model.fit(
        tf.data.Dataset.from_tensors(batch).repeat(5),
        epochs=2,
        verbose=0,
        callbacks=[GradNorm(warmup_steps=1), callback],
    )
    found = tags(tmp_path)
    parts = ("shared", "ltr", "gnn")
    names = {f"gate/{part}" for part in parts} | {f"attention/{a}_to_{b}" for a in parts for b in parts}
    names |= {f"{what}/{x}" for what in ("effective_rank", "norm", "deviation_mean") for x in "xz"}
    names |= {
        f"{what}/{task}"
        for what in ("task_weight", "gradient_norm", "inverse_rate", "loss_ratio")
        for task in ("ssl", "ltr")
    }
    names |= {f"deviation_by_dimension/{x}" for x in "xz"}
    assert names <= set(found)
    assert sum(tag.startswith("embedding/") for tag in found) == sum(
        isinstance(layer, tf.keras.layers.Embedding) for layer in model._flatten_layers()
    )
    assert found["gate/gnn"] == [0, 2, 4, 5, 7, 9, 10]
    graph, _ = batch
    states = model.diagnose(graph)
    x = states["x"].numpy().astype(np.float64)
    shares = np.linalg.svd(x, compute_uv=False)
    shares = shares / shares.sum()
    assert callback.latest["effective_rank/x"] == pytest.approx(
        np.exp(-(shares * np.log(shares)).sum()), rel=1e-3
    )
    assert callback.latest["norm/x"] == pytest.approx(np.linalg.norm(x, axis=1).mean(), rel=1e-4)
    for a in parts:
        assert sum(callback.latest[f"attention/{a}_to_{b}"] for b in parts) == pytest.approx(1, abs=1e-4)
        assert 0.5 < callback.latest[f"gate/{a}"] < 1


def test_a_model_without_a_graph_shows_what_it_has():
    found = toy_model("R0").diagnose(toy_batch(toy_records(4))[0])
    assert set(found) == {"gate"}
    assert found["gate"].shape == (2,)


def test_a_model_that_cannot_be_diagnosed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="diagnose"):
        Diagnostics(tmp_path, 0).set_model(tf.keras.Sequential())

"""Models with several tasks that the training tests share."""

import numpy as np
import tensorflow as tf

from tf_e2egrec.training import MultiTaskModel


class ToyTasks(MultiTaskModel):
    """The GradNorm paper's toy: task i is sigma_i * tanh((B + e_i) x), all tasks from one shared kernel."""

    def __init__(self, sigmas, inputs=25, outputs=10, seed=0, **shared):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.sigmas = sigmas
        base = rng.normal(scale=np.sqrt(10), size=(inputs, outputs))
        self.targets = [
            tf.constant(base + rng.normal(scale=np.sqrt(3.5), size=base.shape), tf.float32) for _ in sigmas
        ]
        self.shared = tf.keras.layers.Dense(64, activation="relu", **shared)
        self.shared.build((None, inputs))
        self.heads = [tf.keras.layers.Dense(outputs, dtype="float32") for _ in sigmas]
        for head in self.heads:
            head.build((None, 64))
        self.set_tasks([f"task_{i}" for i in range(len(sigmas))])

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def task_losses(self, inputs, labels, training):
        hidden = self.shared(inputs)
        return {
            f"task_{i}": tf.reduce_mean(tf.square(sigma * tf.tanh(inputs @ target) - head(hidden)))
            for i, (sigma, target, head) in enumerate(zip(self.sigmas, self.targets, self.heads, strict=True))
        }


class Chained(MultiTaskModel):
    """Three tasks on a plain network; the last one's path to the shared kernel is the longest."""

    def __init__(self):
        super().__init__()
        self.shared = tf.keras.layers.Dense(8, activation="tanh")
        self.shared.build((None, 3))
        self.deep = tf.keras.Sequential(
            [tf.keras.layers.Dense(8, activation="tanh", input_shape=(8,)), tf.keras.layers.Dense(1)]
        )
        self.heads = [tf.keras.layers.Dense(1) for _ in range(2)]
        for head in self.heads:
            head.build((None, 8))
        self.set_tasks(("square", "absolute", "sign"))

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def task_losses(self, inputs, labels, training):
        hidden = self.shared(inputs)
        logits = self.deep(hidden)[:, 0]
        return {
            "square": tf.reduce_mean(tf.square(self.heads[0](hidden)[:, 0] - labels)),
            "absolute": tf.reduce_mean(tf.abs(self.heads[1](hidden)[:, 0] - 3 * labels)),
            "sign": tf.reduce_mean(
                tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels > 0, tf.float32), logits)
            ),
        }


class ToyEmbedding(MultiTaskModel):
    """Two tasks on one embedding table: the regression of two linear functions of an id's vector."""

    def __init__(self, rows=50, dim=4, dropout=0.0):
        super().__init__()
        self.table = tf.keras.layers.Embedding(rows, dim)
        self.table.build((None,))
        self.drop = tf.keras.layers.Dropout(dropout, force_generator=True)
        self.drop.build((None, dim))
        self.shared = tf.keras.layers.Dense(dim)
        self.shared.build((None, dim))
        self.set_tasks(("sum", "difference"))

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def task_losses(self, inputs, labels, training):
        hidden = self.shared(self.drop(self.table(inputs), training=training))
        total, difference = tf.reduce_sum(hidden, -1), hidden[:, 0] - hidden[:, 1]
        return {
            "sum": tf.reduce_mean(tf.square(total - labels)),
            "difference": tf.reduce_mean(tf.square(difference + labels)),
        }


class Clicks(MultiTaskModel):
    """Clicks on items, and the square of their vectors, from one embedding table."""

    def __init__(self, items, dim=4):
        super().__init__()
        self.table = tf.keras.layers.Embedding(items, dim)
        self.table.build((None,))
        self.shared = tf.keras.layers.Dense(dim)
        self.shared.build((None, dim))
        self.head = tf.keras.layers.Dense(1)
        self.head.build((None, dim))
        self.set_tasks(("size", "click"))

    @property
    def shared_kernel(self):
        return self.shared.kernel

    def scores(self, items):
        """Logits of the items, float32 [n]."""
        return self.head(self.shared(self.table(items)))[:, 0]

    def task_losses(self, inputs, labels, training):
        hidden = self.shared(self.table(inputs))
        logits = self.head(hidden)[:, 0]
        return {
            "size": tf.reduce_mean(tf.square(hidden)),
            "click": tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)),
        }


def toy_data(steps=200, batch=64):
    x = np.random.default_rng(1).normal(size=(steps * batch, 25)).astype("f4")
    return tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x), "f4"))).batch(batch)


def compiled(model, **kwargs):
    model.compile(optimizer=tf.keras.optimizers.Adam(1e-3, jit_compile=False), **kwargs)
    return model

import numpy as np
import pytest
import tensorflow as tf

from tests.training.toy_tasks import ToyEmbedding
from tf_e2egrec.training import RowSparseAdam
from tf_e2egrec.training.sparse_gradients import spread_overflow, sum_duplicate_rows

ROWS = 6
IDS = np.array([2, 0, 2, 2, 5, 0])
LABELS = np.array([1.0, -2.0, 0.5, 3.0, 1.0, 0.25], "f4")

DOCUMENTED = {
    "adam": lambda: tf.keras.optimizers.Adam(0.1, jit_compile=False),
    "adam, clipped by norm": lambda: tf.keras.optimizers.Adam(0.1, clipnorm=0.05, jit_compile=False),
    "adam, clipped by value": lambda: tf.keras.optimizers.Adam(0.1, clipvalue=0.01, jit_compile=False),
    "adam, clipped by global norm": lambda: tf.keras.optimizers.Adam(0.1, global_clipnorm=0.05, jit_compile=False),
    "adagrad": lambda: tf.keras.optimizers.Adagrad(0.1, jit_compile=False),
    "rmsprop": lambda: tf.keras.optimizers.RMSprop(0.1, jit_compile=False),
    "sgd": lambda: tf.keras.optimizers.SGD(0.1, jit_compile=False),
    "sgd with momentum": lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9, jit_compile=False),
}  # fmt: skip


class DenseToyEmbedding(ToyEmbedding):
    """The same tasks; its table's gradient is dense."""

    def __init__(self):
        super().__init__(rows=ROWS)
        embedding = self.table

        class OneHot(tf.keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.embeddings = embedding.embeddings

            def call(self, inputs):
                return tf.one_hot(inputs, ROWS) @ self.embeddings

        self.table = OneHot()


def trained(model, optimizer, embedding_optimizer=None, steps=3):
    model.compile(optimizer, embedding_optimizer=embedding_optimizer)
    for _ in range(steps):
        model.train_step((tf.constant(IDS), tf.constant(LABELS)))
    return model.table.embeddings.numpy()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_repeated_ids_update_as_the_dense_reference(name):
    results = []
    for kind in (lambda: ToyEmbedding(rows=ROWS), DenseToyEmbedding):
        tf.keras.utils.set_random_seed(0)
        model = kind()
        model.table.embeddings.assign(np.random.default_rng(0).normal(size=(ROWS, 4)))
        results.append(trained(model, DOCUMENTED[name]()))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-6)
    assert (results[0][2] != results[0][0]).all()


def row_sparse_reference(table, gradients, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, decay=0.0):
    """`RowSparseAdam` as its docstring says, in float64, one row at a time: only rows of the batch move."""
    table = table.astype(np.float64)
    m, v = np.zeros_like(table), np.zeros_like(table)
    for step, (ids, values) in enumerate(gradients, start=1):
        for row in set(ids):
            g = sum(value for i, value in zip(ids, values, strict=True) if i == row)
            m[row] = beta_1 * m[row] + (1 - beta_1) * g
            v[row] = beta_2 * v[row] + (1 - beta_2) * g**2
            correction = np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
            table[row] -= rate * correction * m[row] / (np.sqrt(v[row]) + epsilon) + rate * decay * table[row]
    return table


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_row_sparse_adam_is_what_it_says(decay):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(ROWS, 4)).astype("f4")
    gradients = [(rng.integers(0, ROWS, 5), rng.normal(size=(5, 4))) for _ in range(6)]
    table, optimizer = tf.Variable(start), RowSparseAdam(0.05, row_decay=decay)
    for ids, values in gradients:
        slices = tf.IndexedSlices(
            tf.constant(values, tf.float32), tf.constant(ids), tf.constant([ROWS, 4], tf.int64)
        )
        optimizer.apply_gradients([(slices, table)])
    np.testing.assert_allclose(
        table, row_sparse_reference(start, gradients, 0.05, decay=decay), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["row-sparse adam", "adagrad"])
def test_a_table_of_a_million_rows_is_updated_in_its_rows_alone(name, monkeypatch):
    """No dense gradient reaches the optimiser, and what the batch did not name keeps every bit, slots included."""
    rows = 1_000_000
    model = ToyEmbedding(rows=rows)
    optimizer = (
        RowSparseAdam(0.1)
        if name == "row-sparse adam"
        else tf.keras.optimizers.Adagrad(0.1, jit_compile=False)
    )
    model.compile(tf.keras.optimizers.Adam(0.1, jit_compile=False), embedding_optimizer=optimizer)
    received = []
    original = type(optimizer).update_step
    monkeypatch.setattr(
        type(optimizer),
        "update_step",
        lambda self, gradient, variable: (received.append(gradient), original(self, gradient, variable)),
    )
    model.build_optimizers()
    everything = [model.table.embeddings, *(v for v in optimizer.variables if v.shape.rank == 2)]
    before = [variable.numpy() for variable in everything]
    ids = np.array([3, 999_999, 3, 500_000, 3, 0])
    for _ in range(2):
        model.train_step((tf.constant(ids), tf.constant(LABELS)))
    assert len(received) == 2
    for gradient in received:
        assert isinstance(gradient, tf.IndexedSlices)
        assert gradient.values.shape == (4, 4)
        assert sorted(gradient.indices.numpy()) == [0, 3, 500_000, 999_999]
    touched = np.zeros(rows, bool)
    touched[ids] = True
    for variable, value in zip(everything, before, strict=True):
        after = variable.numpy()
        assert after[~touched].tobytes() == value[~touched].tobytes()
        assert (after[touched] != value[touched]).any(axis=1).all()


def test_an_overflow_spreads_to_every_gradient_and_nothing_else_changes():
    sound = [tf.constant([1.0, 2.0]), None, tf.IndexedSlices(tf.ones((2, 2)), tf.constant([0, 3]))]
    unchanged = spread_overflow(sound)
    assert unchanged[1] is None
    np.testing.assert_array_equal(unchanged[0], sound[0])
    np.testing.assert_array_equal(unchanged[2].values, sound[2].values)
    broken = spread_overflow([*sound, tf.constant([1.0, np.inf])])
    assert np.isnan(broken[0]).all() and np.isnan(broken[2].values).all()
    np.testing.assert_array_equal(broken[2].indices, [0, 3])


def test_summing_keeps_half_precision_and_leaves_dense_gradients_alone():
    half = tf.IndexedSlices(tf.ones((3, 2), tf.float16), tf.constant([1, 1, 0]), tf.constant([4, 2]))
    summed = sum_duplicate_rows(half)
    assert summed.values.dtype == tf.float16
    np.testing.assert_array_equal(tf.convert_to_tensor(summed), [[1, 1], [2, 2], [0, 0], [0, 0]])
    dense = tf.ones((2, 2))
    assert sum_duplicate_rows(dense) is dense

import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.training import RowSparseAdam
from tf_e2egrec.training.sparse_gradients import sum_duplicate_rows


def sparse_gradient():
    return tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]]),
        tf.constant([2, 0, 2], tf.int64),
        tf.constant([4, 2], tf.int64),
    )


def test_duplicate_rows_are_summed():
    summed = sum_duplicate_rows(sparse_gradient())
    assert len(np.unique(summed.indices)) == len(summed.indices)
    np.testing.assert_allclose(tf.convert_to_tensor(summed), tf.convert_to_tensor(sparse_gradient()))
    assert sum_duplicate_rows(None) is None


@pytest.mark.parametrize(
    "make", [lambda: RowSparseAdam(0.1), lambda: tf.keras.optimizers.Adagrad(0.1, jit_compile=False)]
)
def test_duplicated_ids_update_as_the_dense_reference(make):
    """Two slices of one row must act as their sum, not as two steps or two squares."""
    results = []
    for gradient in (sparse_gradient(), tf.convert_to_tensor(sparse_gradient())):
        table, optimizer = tf.Variable(tf.ones((4, 2))), make()
        for _ in range(3):
            optimizer.apply_gradients([(sum_duplicate_rows(gradient), table)])
        results.append(table.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


def test_dense_gradients_get_plain_adam():
    ours, reference = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    optimizers = RowSparseAdam(0.1), tf.keras.optimizers.Adam(0.1, jit_compile=False)
    for step in range(5):
        gradient = tf.constant([0.3 * step, -1.0])
        for optimizer, variable in zip(optimizers, (ours, reference), strict=True):
            optimizer.apply_gradients([(gradient, variable)])
    np.testing.assert_allclose(ours, reference, rtol=1e-5)


def test_rows_without_a_gradient_stay_as_they_are():
    table, optimizer = tf.Variable(tf.ones((4, 2))), RowSparseAdam(0.1)
    for _ in range(3):
        optimizer.apply_gradients([(sparse_gradient(), table)])
    np.testing.assert_array_equal(table.numpy()[[1, 3]], 1.0)
    assert (table.numpy()[[0, 2]] != 1.0).all()


def test_no_operation_touches_a_whole_table():
    """A pass over all rows (of weight decay, say) costs more than everything else where tables are large."""
    table, optimizer = tf.Variable(tf.ones((4, 2))), RowSparseAdam(0.1, row_decay=0.1)
    optimizer.build([table])
    step = tf.function(lambda: optimizer.apply_gradients([(sparse_gradient(), table)]))
    operations = step.get_concrete_function().graph.get_operations()
    assert "ResourceScatterUpdate" in {one.type for one in operations}
    whole = [one.name for one in operations if any(out.shape == table.shape for out in one.outputs)]
    assert not whole


def test_config():
    optimizer = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(RowSparseAdam(0.2, beta_1=0.8)))
    assert optimizer.beta_1 == 0.8 and float(optimizer.learning_rate) == pytest.approx(0.2)

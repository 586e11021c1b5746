import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.export.item_rows import ItemRows
from tf_e2egrec.export.servable import save_servable

keys = st.integers(0, 2**62)


@settings(deadline=None, max_examples=40)
@given(st.sets(keys, max_size=20), st.lists(st.one_of(keys, st.just(-1)), max_size=20))
def test_rows_are_places_in_the_list_of_keys(known, asked):
    known = sorted(known)
    rows = ItemRows(tf.Variable(np.array(known, np.int64)))
    query = np.array([*asked, *known], np.int64)
    expected = [known.index(one) + 1 if one in known else 0 for one in query]
    np.testing.assert_array_equal(rows(tf.constant(query)), expected)
    np.testing.assert_array_equal(rows(tf.constant(query[:, np.newaxis])), np.reshape(expected, (-1, 1)))


def test_a_saved_table_is_filled_from_its_variable(tmp_path):
    """As a server loads it; the graph holds none of the keys."""
    module = tf.Module()
    module.keys = tf.Variable(np.arange(0, 200_000, 2), trainable=False)
    module.rows = ItemRows(module.keys)
    body = tf.function(lambda items: {"rows": module.rows(items)})
    spec = tf.TensorSpec([None], tf.int64, name="items")
    save_servable(module, {"rows": body.get_concrete_function(items=spec)}, tmp_path / "1")
    assert (tmp_path / "1/saved_model.pb").stat().st_size < 100_000
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "1"))
        signature = loaded.signature_def["rows"]
        found = session.run(signature.outputs["rows"].name, {signature.inputs["items"].name: [6, 7, 199_998]})
    np.testing.assert_array_equal(found, [4, 0, 100_000])

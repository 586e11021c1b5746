import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.item_rows import ItemRows
from tf_e2egrec.export.servable import save_servable

far = st.integers(0, 2**62)
near = st.integers(0, 12)


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from([near, far, near.map(lambda key: 2**62 + key)]).flatmap(
        lambda keys: st.tuples(st.sets(keys, max_size=12), st.lists(st.one_of(keys, far), max_size=20))
    )
)
def test_each_key_finds_its_own_values(drawn):
    known, asked = sorted(drawn[0]), drawn[1]
    rows = ItemRows(tf.Variable(np.array(known, np.int64)))
    values = rows.laid_out(np.arange(len(known) + 1) * 10)
    query = np.array([MISSING_KEY, 2**63 - 1, *asked, *known], np.int64)
    expected = [10 * known.index(one) + 10 if one in known else 0 for one in query]
    np.testing.assert_array_equal(tf.gather(values, rows(tf.constant(query))), expected)
    np.testing.assert_array_equal(
        tf.gather(values, rows(tf.constant(query[:, np.newaxis]))), np.reshape(expected, (-1, 1))
    )


def test_tables_grow_by_a_quarter_at_most():
    for known in (range(100), range(0, 125), range(7, 1007, 10)):
        rows = ItemRows(tf.Variable(np.array(known, np.int64)))
        assert len(rows.laid_out(np.zeros(len(known) + 1))) <= 1.25 * len(known) + 2
    assert ItemRows(tf.Variable(np.arange(5, 105))).table is None
    assert ItemRows(tf.Variable(np.arange(0, 1000, 2))).table is not None


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

"""What the canary lets through, and what it stops."""

import numpy as np
import pytest
import tensorflow as tf

from serving.warmup import write_warmup
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.canary import (
    CanaryError,
    fields,
    only_meta_graph,
    require_core_ops,
    require_inputs,
    warmup_requests,
)
from tf_e2egrec.stages.export_canary import Call, require_sound

X = np.array([1.0, 2.0], np.float32)


def save(path, function, spec=None, name="x"):
    """A SavedModel with one signature `rank`: name -> {"y": function(x)}."""
    module = tf.Module()
    module.factor = tf.Variable(3.0)
    traced = tf.function(lambda **inputs: {"y": function(inputs[name], module.factor)})
    spec = spec or tf.TensorSpec([None], tf.float32, name=name)
    tf.saved_model.save(module, str(path), {"rank": traced.get_concrete_function(**{name: spec})})
    return path


def product(x, factor):
    return factor * x


@pytest.fixture
def version(tmp_path):
    return save(tmp_path / "models" / "1", product)


def test_a_sound_export_passes_in_a_fresh_process(version):
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    write_warmup(file, "m", "rank", [{"x": X}, {"x": X[:1]}])
    found = require_sound(version, [Call("rank", {"x": X}, {"y": 3 * X})], ["reward"])
    assert found == {"difference": 0.0, "calls": 1, "warmup_records": 2}
    assert [path.name for path in version.parent.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (3 * X + np.float32(1e-3), "y of signature rank differs from the Python model's by 0.0"),
        (np.array([3.0, np.nan], np.float32), "differs from the Python model's by nan"),
        (np.zeros((2, 2), np.float32), "answers y of shape"),
    ],
    ids=["other", "nan", "shape"],
)
def test_another_answer_than_pythons_is_one_sentence(version, expected, says):
    with pytest.raises(E2EGRecError, match="was not published") as error:
        require_sound(version, [Call("rank", {"x": X}, {"y": expected})], ["reward"])
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_warm_up_that_fails_stops_it(version):
    write_warmup(version / "assets.extra" / "tf_serving_warmup_requests", "m", "rank", [{"z": X}])
    with pytest.raises(E2EGRecError, match="differ in the inputs x, z"):
        require_sound(version, [], [])


def refused(path, xla_allowed=False):
    meta = only_meta_graph(path)
    with pytest.raises(CanaryError) as error:
        require_core_ops(meta, xla_allowed)
        require_inputs(meta, {"reward", "click"})
    return str(error.value)


def test_python_in_the_graph(tmp_path):
    path = save(
        tmp_path / "1", lambda x, _: tf.ensure_shape(tf.numpy_function(np.abs, [x], tf.float32), [None])
    )
    assert "it calls Python (PyFunc" in refused(path)


def test_compulsory_xla(tmp_path):
    compiled = tf.function(product, jit_compile=True)
    path = save(tmp_path / "1", compiled)
    assert "compiled by XLA" in refused(path)
    require_core_ops(only_meta_graph(path), xla_allowed=True)


@pytest.mark.parametrize(("shape", "name"), [([], "x"), ([2], "x"), (None, "x")])
def test_an_input_that_cannot_be_batched(tmp_path, shape, name):
    path = save(tmp_path / "1", product, tf.TensorSpec(shape, tf.float32, name=name))
    assert "no free leading dimension" in refused(path)


def test_a_label_among_the_inputs(tmp_path):
    assert "takes labels: click" in refused(save(tmp_path / "1", product, name="click"))


def test_an_op_that_servers_do_not_have(version):
    meta = only_meta_graph(version)
    meta.graph_def.library.function[0].node_def[0].op = "OpOfAnotherLibrary"
    with pytest.raises(CanaryError, match="not part of TensorFlow: OpOfAnotherLibrary"):
        require_core_ops(meta, xla_allowed=False)


def test_warm_up_records_are_read_as_they_were_written(tmp_path):
    batches = [
        {"x": X, "ids": np.array([[b"a", b""]], object)},
        {"x": X[:0], "ids": np.zeros((0, 2), object)},
    ]
    write_warmup(tmp_path / "w", "m", "rank", batches[:1])
    ((signature, inputs),) = warmup_requests(tmp_path / "w")
    assert signature == "rank"
    np.testing.assert_array_equal(inputs["x"], X)
    assert inputs["ids"].tolist() == [[b"a", b""]]
    assert list(warmup_requests(tmp_path / "nowhere")) == []


def test_fields_pass_over_numbers():
    message = b"\x08\x96\x01" + b"\x12\x02hi" + b"\x1d" + bytes(4) + b"\x21" + bytes(8) + b"\x2a\x00"
    assert list(fields(message)) == [(2, b"hi"), (5, b"")]

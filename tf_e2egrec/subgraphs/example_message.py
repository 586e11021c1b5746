"""The protocol buffer message `tf.train.Example`, defined here so that workers need not import TensorFlow."""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto


@functools.cache
def example_class() -> Any:
    """The message class; its bytes are those of `tf.train.Example`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tf_e2egrec/example.proto", package="tensorflow", syntax="proto3"
    )
    for name, kind in (
        ("BytesList", _FIELD.TYPE_BYTES),
        ("FloatList", _FIELD.TYPE_FLOAT),
        ("Int64List", _FIELD.TYPE_INT64),
    ):
        _add(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        field = _add(feature, name, number, _FIELD.TYPE_MESSAGE)
        field.type_name = ".tensorflow." + "".join(part.capitalize() for part in name.split("_"))
        field.oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, _FIELD.TYPE_STRING)
    _add(entry, "value", 2, _FIELD.TYPE_MESSAGE).type_name = ".tensorflow.Feature"
    field = _add(features, "feature", 1, _FIELD.TYPE_MESSAGE, repeated=True)
    field.type_name = ".tensorflow.Features.FeatureEntry"
    example = file.message_type.add(name="Example")
    _add(example, "features", 1, _FIELD.TYPE_MESSAGE).type_name = ".tensorflow.Features"
    pool = (
        descriptor_pool.DescriptorPool()
    )  # its own, so that TensorFlow's definition may be loaded beside it
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _add(message: Any, name: str, number: int, kind: int, repeated: bool = False) -> Any:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    return message.field.add(name=name, number=number, type=kind, label=label)

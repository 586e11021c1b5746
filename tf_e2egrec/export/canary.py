"""Loads an export as TensorFlow Serving would and holds its answers against expected ones.

Run in a fresh process that has none of this project's code: `python -I canary.py VERSION_DIR CALLS.json`. It needs the standard
library, NumPy and TensorFlow. CALLS.json holds

    {"tolerance": 1e-5, "labels": [names], "xla_allowed": false, "calls": [{"signature": name,
     "inputs": {name: base64 of a TensorProto}, "outputs": {the same}}]}

The last line printed is JSON: `{"difference": the largest one found, "calls": n, "warmup_records": n}`, or `{"error": sentence}` with
exit code 1.
"""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
MOST_WARMUP_RECORDS = 1000  # with one more, TensorFlow Serving refuses the version
PACKAGES = ("tf_e2egrec", "serving", "beam_pipelines", "tensorflow_gnn")


class CanaryError(Exception):
    """The export must not be served; the message says why."""


def check(directory: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """All checks; raises `CanaryError` at the first that fails."""
    if not directory.name.isdigit() or int(directory.name) < 1:
        raise CanaryError(f"the version's directory is called {directory.name!r}, not a positive integer")
    meta = only_meta_graph(directory)
    require_core_ops(meta, plan["xla_allowed"])
    require_inputs(meta, set(plan["labels"]))
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        with session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        records = 0
        for signature, inputs in warmup_requests(directory / "assets.extra" / "tf_serving_warmup_requests"):
            run(session, loaded, signature, inputs)
            records += 1
        largest = 0.0
        for call in plan["calls"]:
            largest = max(largest, compare(session, loaded, call, plan["tolerance"]))
    ours = sorted(set(PACKAGES) & set(sys.modules))
    if ours:
        raise CanaryError(f"the process has imported {', '.join(ours)}: it proves nothing about a server")
    return {"difference": largest, "calls": len(plan["calls"]), "warmup_records": records}


def only_meta_graph(directory: Path) -> Any:
    """The one meta graph, with the tag `serve`."""
    proto = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    tags = [sorted(meta.meta_info_def.tags) for meta in proto.meta_graphs]
    if tags != [["serve"]]:
        raise CanaryError(f"it holds meta graphs with the tags {tags}, not exactly one with `serve`")
    return proto.meta_graphs[0]


def require_core_ops(meta: Any, xla_allowed: bool) -> None:
    """Only ops that a plain TensorFlow Serving has, and no compulsory XLA."""
    library = meta.graph_def.library.function
    nodes = [*meta.graph_def.node, *(node for function in library for node in function.node_def)]
    names = {node.op for node in nodes} - {function.signature.name for function in library}
    if names & PYTHON_OPS:
        raise CanaryError(f"it calls Python ({', '.join(sorted(names & PYTHON_OPS))}), which a server cannot")
    foreign = sorted(name for name in names if op_def_registry.get(name) is None)
    if foreign:
        raise CanaryError(f"it has ops that are not part of TensorFlow: {', '.join(foreign)}")
    compiled = [one.attr for one in (*nodes, *library) if "_XlaMustCompile" in one.attr]
    if any(attributes["_XlaMustCompile"].b for attributes in compiled) and not xla_allowed:
        raise CanaryError("it must be compiled by XLA (jit_compile=True), which servers refuse by default")


def require_inputs(meta: Any, labels: set[str]) -> None:
    """A free leading dimension for every input, so that a server can batch; labels are no inputs."""
    for name, signature in meta.signature_def.items():
        if name.startswith("__"):
            continue
        for alias, info in (*signature.inputs.items(), *signature.outputs.items()):
            shape = info.tensor_shape
            if shape.unknown_rank or not shape.dim or shape.dim[0].size != -1:
                raise CanaryError(f"{alias} of signature {name} has no free leading dimension")
        if labels & set(signature.inputs):
            raise CanaryError(
                f"signature {name} takes labels: {', '.join(sorted(labels & set(signature.inputs)))}"
            )


def warmup_requests(path: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(signature, inputs) of every warm-up record, none where there is no file."""
    if not path.exists():
        return
    for count, record in enumerate(tf.compat.v1.io.tf_record_iterator(str(path)), 1):
        if count > MOST_WARMUP_RECORDS:
            raise CanaryError(f"it has more than {MOST_WARMUP_RECORDS} warm-up records")
        # PredictionLog.predict_log (6), PredictLog.request (1), PredictRequest.model_spec (1) and inputs (2).
        request = dict(fields(dict(fields(record))[6]))[1]
        pairs = list(fields(request))
        spec = dict(fields(next(value for number, value in pairs if number == 1)))
        entries = [dict(fields(value)) for number, value in pairs if number == 2]
        inputs = {entry[1].decode(): tensor(entry[2]) for entry in entries}
        yield spec.get(3, b"serving_default").decode(), inputs


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, content) of a protocol buffer's length-delimited fields; the others are passed over."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            varint()
            continue
        length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        if kind == 2:
            yield key >> 3, message[place : place + length]
        place += length


def compare(session: Any, loaded: Any, call: dict[str, Any], tolerance: float) -> float:
    """The largest difference of a call's outputs to the expected ones, relative to values beyond 1."""
    inputs = {name: tensor(base64.b64decode(text)) for name, text in call["inputs"].items()}
    found = run(session, loaded, call["signature"], inputs)
    largest = 0.0
    for name, text in call["outputs"].items():
        expected = tensor(base64.b64decode(text))
        if found[name].shape != expected.shape:
            raise CanaryError(
                f"{call['signature']} answers {name} of shape {found[name].shape}, not {expected.shape}"
            )
        difference = np.abs(found[name] - expected) / np.maximum(1.0, np.abs(expected))
        worst = float(np.max(difference, initial=0.0))
        if not worst <= tolerance:  # NaN, too
            raise CanaryError(
                f"{name} of signature {call['signature']} differs from the Python model's by {worst:.2g}, "
                f"more than {tolerance:g}"
            )
        largest = max(largest, worst)
    return largest


def run(session: Any, loaded: Any, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer one request."""
    if signature not in loaded.signature_def:
        raise CanaryError(f"it has no signature {signature}")
    definition = loaded.signature_def[signature]
    if set(inputs) != set(definition.inputs):
        different = ", ".join(sorted(set(inputs) ^ set(definition.inputs)))
        raise CanaryError(f"a request to {signature} and its signature differ in the inputs {different}")
    feed = {definition.inputs[name].name: value for name, value in inputs.items()}
    return dict(session.run({name: info.name for name, info in definition.outputs.items()}, feed))


def tensor(proto: bytes) -> np.ndarray:
    """The array of a serialized TensorProto."""
    return np.asarray(tf.make_ndarray(tensor_pb2.TensorProto.FromString(proto)))


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    directory, calls = map(Path, arguments)
    try:
        answer = check(directory, json.loads(calls.read_text(encoding="utf-8")))
    except CanaryError as error:
        answer = {"error": str(error)}
    except Exception as error:  # whatever keeps it from loading or answering
        answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
    print(json.dumps(answer))
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

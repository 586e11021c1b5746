"""What a load test sends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.load_test.load_requests import (
    REQUESTS,
    Ids,
    Shape,
    drawn_requests,
    exported_ids,
    read_ids,
    recorded_requests,
    stranger_ids,
    takes_text,
)
from serving.warmup import WARMUP_FILE, write_warmup
from tests.export.export_toys import toy_module
from tests.toy_data import toy_description, toy_items, toy_users
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.subgraphs.feature_table import FeatureTable


def signature(**specs: tf.TensorSpec) -> Any:
    made = meta_graph_pb2.SignatureDef()
    for name, spec in specs.items():
        made.inputs[name].dtype = spec.dtype.as_datatype_enum
        made.inputs[name].tensor_shape.CopyFrom(spec.shape.as_proto())
    return made


def retrieve(dtype: Any) -> Any:
    return signature(recent=tf.TensorSpec([None, None], dtype), num_recent=tf.TensorSpec([None], tf.int32))


def arrays(request: Any) -> dict[str, np.ndarray]:
    return {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}


def test_ranking_requests_are_drawn_from_the_ids() -> None:
    signatures = {"rank": signature(**toy_module("hybrid").rank_inputs())}
    ids = Ids(items=[100, 101, 102], users=[7, 8])
    made = drawn_requests("m", signatures, ids, Shape(candidates=5, recent=3), version="canary")
    assert len(made) == REQUESTS
    for request in made:
        assert (request.model_spec.name, request.model_spec.signature_name) == ("m", "rank")
        assert request.model_spec.version_label == "canary"
        inputs = arrays(request)
        assert inputs["candidates"].shape == (1, 5)
        assert inputs["num_candidates"].tolist() == [5]
        assert set(inputs["candidates"].ravel()) <= {100, 101, 102}
        assert inputs["user_id"][0] in (7, 8)
        assert np.isnan(inputs["position"]).all()
    assert {int(arrays(request)["num_recent"][0]) for request in made} == {0, 1, 2, 3}
    again = drawn_requests("m", signatures, ids, Shape(5, 3), version="canary")
    assert [one.SerializeToString(deterministic=True) for one in made] == [
        one.SerializeToString(deterministic=True) for one in again
    ]
    other = drawn_requests("m", signatures, ids, Shape(5, 3), version="canary", seed=1)
    assert [arrays(one)["candidates"].tolist() for one in made] != [
        arrays(one)["candidates"].tolist() for one in other
    ]


def test_a_model_of_candidates_is_asked_for_candidates() -> None:
    signatures = {"retrieve": retrieve(tf.string)}
    assert takes_text(signatures)
    made = drawn_requests("m", signatures, Ids(["a", "b"], []), Shape(recent=4))
    assert {request.model_spec.signature_name for request in made} == {"retrieve"}
    listed = {
        one for request in made for one in arrays(request)["recent"][0, : arrays(request)["num_recent"][0]]
    }
    assert listed == {b"a", b"b"}
    with pytest.raises(E2EGRecError, match="neither a rank nor a retrieve signature"):
        drawn_requests("m", {}, Ids([1], [1]), Shape())


class Ranker(tf.Module):
    """The tables of an export, without its model."""

    def __init__(self) -> None:
        super().__init__()
        description = toy_description()
        self.item_table = FeatureTable(toy_items(), description.item_features)
        self.user_table = FeatureTable(toy_users(), description.user_features)


def test_ids_are_those_of_the_export(tmp_path: Path) -> None:
    module = tf.Module()
    module.ranker = Ranker()
    tf.saved_model.save(module, str(tmp_path / "m/1"))
    assert exported_ids(tmp_path / "m", "item") == toy_items().key.tolist()
    assert exported_ids(tmp_path / "m", "user") == toy_users().key.tolist()
    keys = np.array([4, 9, (1 << 59) + 3])  # the last is of another domain
    finder = RetrievalModule(keys, np.eye(3), np.eye(3), np.ones(3), 2)
    tf.saved_model.save(finder, str(tmp_path / "c/1"), signatures=finder.signatures())
    assert exported_ids(tmp_path / "c", "item") == [4, 9]
    assert exported_ids(tmp_path / "c", "user") == []
    with pytest.raises(E2EGRecError, match="holds no version"):
        exported_ids(tmp_path, "item")


def test_warm_up_records_are_addressed_to_the_model(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with pytest.raises(E2EGRecError, match="/2 brings no warm-up records"):
        recorded_requests(tmp_path, "m")
    write_warmup(tmp_path / "2" / WARMUP_FILE, "other", "serving_default", [{"x": np.arange(3)}] * 2)
    made = recorded_requests(tmp_path, "m", 5)
    assert [(one.model_spec.name, one.model_spec.signature_name) for one in made] == [
        ("m", "serving_default")
    ] * 2
    assert made[0].model_spec.version.value == 5
    assert arrays(made[1])["x"].tolist() == [0, 1, 2]


def test_ids_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("12\n\n 7 \n")
    assert read_ids(file, text=False) == [12, 7]
    assert read_ids(file, text=True) == ["12", "7"]
    file.write_text("12\nseven\n")
    with pytest.raises(E2EGRecError, match=r"takes integer ids .*'seven'"):
        read_ids(file, text=False)
    file.write_text("\n")
    with pytest.raises(E2EGRecError, match="holds no id"):
        read_ids(file, text=True)
    with pytest.raises(E2EGRecError, match="cannot be read"):
        read_ids(tmp_path / "absent", text=True)


def test_made_up_ids() -> None:
    assert all(isinstance(one, str) for one in stranger_ids(text=True))
    assert len(set(stranger_ids(text=False))) == len(stranger_ids(text=False))

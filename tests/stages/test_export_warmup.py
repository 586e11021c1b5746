"""Warm-up requests of the small job's export: real items, each length, fresh candidates, answers."""

import numpy as np
import pytest
import tensorflow as tf

from serving.warmup import read_warmup
from tests.cli.job import succeed
from tf_e2egrec.stages.export import prepare
from tf_e2egrec.stages.export_warmup import warmup_requests
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, read_subgraphs_manifest


@pytest.fixture(scope="module")
def run(job):
    return RunDirectory(job[0])


def prepared(run, model, kind):
    description = run.description()
    return prepare(
        run, description, read_subgraphs_manifest(run, description), load_model(run.model(model, 0)), kind
    )


def test_each_length_of_each_signature(run):
    made = prepared(run, "R5", "hybrid")
    requests = warmup_requests(made)
    assert [(name, one["candidates"].shape) for name, one in requests] == [
        (name, (1, length)) for name in ("rank", "rank_fresh") for length in (1, 100, 500)
    ]
    known = made.module.examples.item_table.keys.numpy()
    signatures = made.module.signatures()
    for name, inputs in requests:
        assert np.isin(inputs["candidates"], known).all()
        assert np.isin(inputs["recent"], known).all()
        assert inputs["num_candidates"] == inputs["candidates"].shape[1]
        assert inputs["time"] > 1_600_000_000_000
        outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert all(np.isfinite(values).all() for values in outputs.values())
        if inputs["candidates"].shape[1] > 1:
            assert np.ptp(outputs["score"]) > 0
    assert [one["num_fresh"].tolist() for _, one in requests[3:]] == [[1], [5], [25]]
    for _, inputs in requests[3:]:
        assert inputs["fresh"].shape[1] == inputs["num_fresh"][0]
        assert np.isin(inputs["fresh"], inputs["candidates"]).all()
        assert inputs["num_fresh_neighbours"].shape == inputs["fresh"].shape


def test_a_model_without_graph_and_an_export_of_subgraphs(run):
    assert [name for name, _ in warmup_requests(prepared(run, "R0", "table"))] == ["rank"] * 3
    ((name, inputs),) = warmup_requests(prepared(run, "R5", "examples"))
    assert (name, list(inputs)) == ("serving_default", ["examples"])


def test_what_an_export_brings_along(run_copy, tmp_path):
    batching = tmp_path / "batching.txt"
    batching.write_text("max_batch_size { value: 8 }\n")
    succeed("export", run_copy, "--to", tmp_path / "m", "--batching", batching)
    version = tmp_path / "m" / "1"
    assert [one.signature for one in read_warmup(version)] == ["rank"] * 3 + ["rank_fresh"] * 3
    assert (version / "batching_params.pbtxt").read_text() == batching.read_text()
    assert [path.name for path in version.parent.iterdir()] == ["1"]

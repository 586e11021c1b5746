"""What a job looks like to a runner: portable, small, with deterministic keys and nothing pickled between steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.coders import coders
from apache_beam.portability import common_urns

from beam_pipelines import refresh, subgraphs, swing
from beam_pipelines.run import run_pipeline
from tf_e2egrec.dataset.counter_names import is_named
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.errors import E2EGRecError

TEXT = """
name: small
interactions:
  paths: day-*.parquet
  user: u
  item: i
  time: {column: t, unit: ms}
  behaviours: {click: {column: liked}}
  context: [{name: device, type: categorical}]
ranker: {reward: click, derived: [item_age], negatives: {per_positive: 1, window: 2d, every: 6h}}
graph: {positive: [click], explicit: [click], snapshots: {refresh: 8h, window: 2d}, swing: {min_behaviours: 2}}
split: {by: time, labels_from: 2020-01-02, train_until: 2020-01-03, valid_until: 2020-01-04}
"""
MOST_BYTES = 200_000  # of a job; Dataflow refuses one of 10 MB
GROUPING = {common_urns.primitives.GROUP_BY_KEY.urn, common_urns.composites.COMBINE_PER_KEY.urn}


def write_day(folder, day):
    random = np.random.default_rng(day)
    time = (18_262 + day) * 86_400_000 + random.integers(0, 86_400_000, 150)
    log = {"u": random.integers(0, 20, 150), "i": random.integers(0, 20, 150), "t": time}
    pq.write_table(
        pa.table(log | {"liked": random.random(150) < 0.6, "device": random.integers(0, 3, 150)}),
        folder / f"day-{day}.parquet",
    )


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Name -> the pipeline that a stage ran, for both stages, in full and in a refresh; `counters`: names of all counters."""
    folder = tmp_path_factory.mktemp("jobs")
    for day in range(3):
        write_day(folder, day)
    (folder / "small.yaml").write_text(TEXT)
    description, run = load_description(folder / "small.yaml"), folder / "run"
    built: dict[str, Any] = {}

    def keeping(name):
        def keep(pipeline):
            built[name] = pipeline
            return run_pipeline(pipeline)

        return keep

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swing, "run_pipeline", keeping("swing"))
        patch.setattr(subgraphs, "run_pipeline", keeping("subgraphs"))
        swing.run_swing(description, run / "graph")
        subgraphs.run_subgraphs(description, run / "graph", run / "subgraphs")
        patch.setattr(swing, "run_pipeline", keeping("swing, refreshed"))
        patch.setattr(subgraphs, "run_pipeline", keeping("subgraphs, refreshed"))
        write_day(folder, 3)
        refreshed = refresh.run_refresh(description, run)
    built["counters"] = {*refreshed.graph.counters, *refreshed.subgraphs.counters}
    return built


JOBS = ["swing", "subgraphs", "swing, refreshed", "subgraphs, refreshed"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_small(jobs, name):
    assert jobs[name].to_runner_api().ByteSize() < MOST_BYTES


@pytest.mark.parametrize("name", JOBS)
def test_keys_of_shuffles_have_deterministic_coders_and_nothing_is_pickled(jobs, name):
    proto, context = jobs[name].to_runner_api(return_context=True)
    shuffles = [one for one in proto.components.transforms.values() if one.spec.urn in GROUPING]
    assert len(shuffles) >= 5
    for transform in shuffles:
        (collection,) = transform.inputs.values()
        coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
        assert coder.key_coder().is_deterministic(), transform.unique_name
        assert "Pickle" not in str(coder), (transform.unique_name, coder)


@pytest.mark.parametrize("name", ["swing", "subgraphs"])
def test_what_is_big_travels_as_bytes(jobs, name):
    proto, context = jobs[name].to_runner_api(return_context=True)
    big = ("GroupByPartition", "ByItemShard", "GroupByFile", "MergeSketches", "OfLog")
    found = 0
    for transform in proto.components.transforms.values():
        if transform.spec.urn in GROUPING and transform.unique_name.split("/")[-1] in big:
            (collection,) = transform.inputs.values()
            coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
            assert isinstance(coder.value_coder(), coders.BytesCoder), transform.unique_name
            found += 1
    assert found >= 2


@pytest.mark.parametrize("name", JOBS)
def test_every_step_is_one_that_all_runners_know(jobs, name):
    transforms = jobs[name].to_runner_api().components.transforms.values()
    steps = [one for one in transforms if not one.subtransforms and dict(one.inputs) != dict(one.outputs)]
    primitives = common_urns.primitives
    known = (primitives.PAR_DO, primitives.GROUP_BY_KEY, primitives.FLATTEN, primitives.IMPULSE)
    assert {one.spec.urn for one in steps} <= {primitive.urn for primitive in known}


def test_every_counter_has_a_name_for_people(jobs):
    assert [name for name in sorted(jobs["counters"]) if not is_named(name)] == []


@pytest.mark.parametrize("output", ["gs://bucket/run", "s3://bucket/run", Path("gs://bucket/run")])
def test_object_stores_are_refused_as_outputs(output, tmp_path):
    write_day(tmp_path, 0)
    (tmp_path / "small.yaml").write_text(TEXT)
    description = load_description(tmp_path / "small.yaml")
    for stage in (
        lambda: swing.run_swing(description, output),
        lambda: subgraphs.run_subgraphs(description, tmp_path, output),
        lambda: refresh.run_refresh(description, output),
    ):
        with pytest.raises(E2EGRecError, match=r"needs? a directory that every worker mounts"):
            stage()


@pytest.mark.slow
def test_a_job_server_runs_a_stage(tmp_path):
    """Beam's own job server, reached over gRPC as those of Flink and Spark are."""
    argv = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
    for day in range(2):
        write_day(tmp_path, day)
    (tmp_path / "small.yaml").write_text(TEXT)
    description = load_description(tmp_path / "small.yaml")
    found = []
    for name, beam_args in (("portable", argv), ("local", [])):
        graph = swing.run_swing(description, tmp_path / name / "graph", beam_args)
        records = subgraphs.run_subgraphs(
            description, tmp_path / name / "graph", tmp_path / name / "subgraphs", beam_args
        )
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        content = {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in files
            if path.suffix != ".json"
        }
        found.append((content, graph.counters, records.counters, records.details))
    assert found[0] == found[1]

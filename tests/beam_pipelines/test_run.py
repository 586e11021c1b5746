import logging

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions

from beam_pipelines.run import LOCAL_RUNNER, pipeline_options, run_pipeline
from tf_e2egrec.errors import E2EGRecError


def _count(value):
    Metrics.counter("e2egrec", "odd" if value % 2 else "even").inc(value)
    return value


def _fail(value):
    raise E2EGRecError(f"`a.csv` is wrong: {value} [see above]")


def _crash(value):
    raise ValueError(f"a bug with {value}")


def _pipeline(function, argv=()):
    pipeline = beam.Pipeline(options=pipeline_options(argv))
    _ = (
        pipeline
        | beam.Create([1, 2, 3])
        | "First" >> beam.Map(function)
        | beam.Reshuffle()
        | "Again" >> beam.Map(function)
    )
    return pipeline


def test_options_name_the_local_runner_and_pass_others_through():
    assert pipeline_options().view_as(StandardOptions).runner == LOCAL_RUNNER
    options = pipeline_options(["--runner=FlinkRunner", "--direct_num_workers=2"])
    assert options.view_as(StandardOptions).runner == "FlinkRunner"
    assert options.view_as(DirectOptions).direct_num_workers == 2


def test_counters_are_added_up_over_transforms():
    assert run_pipeline(_pipeline(_count)) == {"even": 4, "odd": 8}


def test_a_mistake_in_the_input_comes_out_as_it_was_said(caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(E2EGRecError) as caught:
        run_pipeline(_pipeline(_fail))
    assert str(caught.value) in {f"`a.csv` is wrong: {value} [see above]" for value in (1, 2, 3)}
    assert "a.csv" not in caplog.text


def test_other_errors_stay_themselves_and_are_logged(caplog):
    with pytest.raises(ValueError, match="a bug with"):
        run_pipeline(_pipeline(_crash))
    assert "a bug with" in caplog.text


@pytest.mark.slow
def test_worker_processes():
    argv = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    assert run_pipeline(_pipeline(_count, argv)) == {"even": 4, "odd": 8}
    with pytest.raises(E2EGRecError, match=r"^`a.csv` is wrong: . \[see above\]$"):
        run_pipeline(_pipeline(_fail, argv))

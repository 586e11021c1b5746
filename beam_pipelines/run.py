"""Running a pipeline, and getting counters or one clear sentence out of it."""

import errno
import logging
import os
import re
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from tf_e2egrec.errors import E2EGRecError

# Beam's own default, DirectRunner, first tries to download another runner.
LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"

# Workers report an exception as the text of its traceback; Beam appends the transform it came from.
_RAISED = re.compile(r"E2EGRecError: (.*)$", re.MULTILINE)
_LOGGERS = ("apache_beam.runners.common", "apache_beam.runners.worker.sdk_worker")
_OF_THE_PLACE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
)  # the command says what to do about them
_APPENDED = re.compile(r" \[while running '.*$")


def pipeline_options(argv: Sequence[str] = ()) -> PipelineOptions:
    """Beam options from command-line arguments; without `--runner`, `FnApiRunner` runs in this process.

    `--direct_running_mode=multi_processing --direct_num_workers=2` spreads a local run over processes.
    """
    options = PipelineOptions(list(argv))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = LOCAL_RUNNER
    return options


def run_pipeline(pipeline: beam.Pipeline) -> dict[str, int]:
    """Run a pipeline to its end.

    Returns:
      The counters by name, added up over transforms; those of attempts where the runner does not tell what was committed.

    Raises:
      E2EGRecError: a transform raised one, in whatever process.
      RuntimeError: the runner says that the pipeline did not finish, without an exception.
    """
    quiet = _WithoutMistakes()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        result = pipeline.run()
        state = result.wait_until_finish() or result.state
    except Exception as error:
        mistake = _mistake_in(error)
        if mistake is None:
            raise
        raise mistake from error
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)
    if state != PipelineState.DONE:
        raise RuntimeError(f"the pipeline ended in state {state}")
    counters: dict[str, int] = {}
    for one in result.metrics().query()["counters"]:
        name = one.key.metric.name
        value = (
            one.attempted if one.committed is None else one.committed
        )  # job servers know attempted ones only
        counters[name] = counters.get(name, 0) + int(value or 0)
    return dict(sorted(counters.items()))


def _mistake_in(error: Exception) -> E2EGRecError | None:
    """The E2EGRecError inside a runner's exception."""
    match = _RAISED.search(f"{type(error).__name__}: {error}")
    return E2EGRecError(_APPENDED.sub("", match[1])) if match else None


class _WithoutMistakes(logging.Filter):
    """Drops the traceback that Beam logs for a mistake of the user's: the caller says it in one sentence."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about something else."""
        raised = record.exc_info[0] if record.exc_info else None
        said = f"{record.msg} {record.exc_info[1] if record.exc_info else ''}"
        if any(os.strerror(code) in said for code in _OF_THE_PLACE):
            return False
        return not (raised is not None and issubclass(raised, E2EGRecError)) and "E2EGRecError" not in said

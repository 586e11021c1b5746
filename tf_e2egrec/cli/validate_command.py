"""The command that holds a new day of logs against the one before."""

import datetime
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tf_e2egrec.cli.console import complain, console
from tf_e2egrec.cli.options import AsJson, Data, Dataset
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.evaluation.sheet import MISSING, Sheet, rich_table
from tf_e2egrec.validation.thresholds import Thresholds

if TYPE_CHECKING:
    from tf_e2egrec.validation.compare_days import Measure
    from tf_e2egrec.validation.day import Day

MOVED = 1  # the exit code where a threshold is crossed


def validate(
    dataset: Dataset,
    data: Data = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Description of the logs to compare with; by default, the day before in the same logs."
        ),
    ] = None,
    against_data: Annotated[
        Path | None,
        typer.Option(help="Where the relative paths of --against start; its own folder by default."),
    ] = None,
    day: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Which day (UTC), without --against; the newest by default."),
    ] = None,
    count_ratio: Annotated[
        float, typer.Option(help="Rows, users and items may be so many times more, or fewer.")
    ] = Thresholds.count_ratio,
    rate_ratio: Annotated[
        float, typer.Option(help="The same for the share of rows with a behaviour.")
    ] = Thresholds.rate_ratio,
    missing: Annotated[
        float, typer.Option(help="By how much the share of missing values of a feature may differ.")
    ] = Thresholds.missing,
    overlap: Annotated[
        float, typer.Option(help="The smallest share of new rows whose item is known.")
    ] = Thresholds.overlap,
    stability: Annotated[
        float, typer.Option(help="The largest population stability index of a feature or label.")
    ] = Thresholds.stability,
    bad_rows: Annotated[
        float, typer.Option(help="The largest share of unusable rows, and of repeated ones (with --against).")
    ] = Thresholds.bad_rows,
    as_json: AsJson = False,
) -> None:
    """Hold a new day of logs against the one before: counts, rates, vocabulary, missing values, distributions.

    Nothing is written. Exit code 1 where a threshold is crossed, so that it stops what stands behind it in a shell.

    Example: e2egrec validate runs/demo/data/dataset.yaml && e2egrec refresh runs/demo/data/dataset.yaml --out runs/demo/run
    """
    from tf_e2egrec.validation.compare_days import compare_days

    thresholds = Thresholds(count_ratio, rate_ratio, missing, overlap, stability, bad_rows)
    before, now = _days(load_description(dataset, data), against, against_data, day.date() if day else None)
    measures = compare_days(before, now, thresholds)
    crossed = [one for one in measures if one.is_crossed]
    if as_json:
        found = [{name: _plain(value) for name, value in one._asdict().items()} for one in measures]
        console.print_json(
            json.dumps({"before": before.name, "now": now.name, "is_sound": not crossed, "measures": found})
        )
    else:
        console.print(rich_table(report_sheet(before.name, now.name, measures)))
    for one in crossed:
        complain(f"{one.name} of {now.name} is {_text(one.value)}, and the bound is {one.bound}")
    if crossed:
        raise typer.Exit(MOVED)


def report_sheet(before: str, now: str, measures: Sequence["Measure"]) -> Sheet:
    """The table of the report.

    Args:
      before, now: names of the days.
      measures: from `compare_days`.
    """
    rows = [
        [
            one.name,
            _text(one.before),
            _text(one.now),
            _text(one.value),
            one.bound,
            "CROSSED" if one.is_crossed else "",
        ]
        for one in measures
    ]
    return Sheet(f"{now} against {before}", ["measure", "before", "now", "value", "bound", ""], rows)


def _days(
    description: DatasetDescription,
    against: Path | None,
    against_data: Path | None,
    day: datetime.date | None,
) -> tuple["Day", "Day"]:
    from tf_e2egrec.errors import E2EGRecError
    from tf_e2egrec.validation.read_days import read_two_days, read_whole

    if against is None:
        return read_two_days(description, *_inputs(description), day)
    if day is not None:
        raise E2EGRecError("--day chooses a day of one description; leave it out with --against")
    other = load_description(against, against_data)
    if _shape(other) != _shape(description):
        raise E2EGRecError(
            f"{against} describes other behaviours or features than {description.name}; compare descriptions of the same columns"
        )
    return (
        read_whole(other, *_inputs(other), "the logs before"),
        read_whole(description, *_inputs(description), "the new logs"),
    )


def _shape(description: DatasetDescription) -> tuple[object, ...]:
    features = (description.context_features, description.item_features, description.user_features)
    named = [tuple((one.name, one.type) for one in group) for group in features]
    return tuple(description.behaviour_names), description.has_stay, *named


def _inputs(description: DatasetDescription) -> tuple[list[tuple[int, str]], Any, Any]:
    """Log files, how to open them, and feature tables."""
    from beam_pipelines.node_tables import read_node_tables
    from beam_pipelines.transforms.file_patterns import match_files, open_raw
    from tf_e2egrec.dataset.read_report import ReadReport

    files = [
        (number, file.path)
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, description.data_root, f"interactions.{number}.paths")
    ]
    return files, open_raw, read_node_tables(description, ReadReport())


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"

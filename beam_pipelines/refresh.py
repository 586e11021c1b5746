"""Refresh: brings graph and subgraphs up to date after new rows have arrived, without making again what did not change.

    python -m beam_pipelines.refresh --input DATASET.yaml [--data DIR] --output RUN_DIR [Beam options]

The whole log is read, because late rows, ranks, gaps to the next event and sampled negatives can change what older rows mean.
What it is used for is compared by value: a snapshot is computed if the digest of the rows in its window changed, a record file is
written if the digest of its impressions (labels, features, recent items, negatives) and of the windows behind their snapshots did.
The result has the bytes of a full run. The artefacts are replaced together once both are complete; until then the old ones stay.
"""

import argparse
import dataclasses
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beam_pipelines.output_directory import require_mounted
from beam_pipelines.subgraphs import STAGE as SUBGRAPHS
from beam_pipelines.subgraphs import run_subgraphs, subgraphs_configuration, subgraphs_fingerprint
from beam_pipelines.swing import STAGE as SWING
from beam_pipelines.swing import known_windows, run_swing, swing_configuration
from tf_e2egrec.dataset.artefact import Manifest, read_manifest, replace_directory, restore_directory
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.errors import E2EGRecError

_FULL_RUN = "e2egrec swing` and `e2egrec subgraphs"
_SOURCES = ("interactions", "items", "users")


@dataclasses.dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Attributes:
      graph, subgraphs: the manifests of the artefacts as they are now.
      snapshots_computed, snapshots_reused: snapshots that see at least one row.
      files_written, files_reused: files of records.
      is_new: whether anything was made; False where the artefacts already were up to date.
    """

    graph: Manifest
    subgraphs: Manifest
    snapshots_computed: int
    snapshots_reused: int
    files_written: int
    files_reused: int
    is_new: bool


def run_refresh(
    description: DatasetDescription, run_directory: str | Path, beam_args: Sequence[str] = ()
) -> Refreshed:
    """Bring RUN_DIR/graph and RUN_DIR/subgraphs up to date with the logs.

    Args:
      description: the one the artefacts were made from. Only `split` and the `paths` of logs and tables may differ: what they change is
        seen in the rows.
      run_directory: RUN_DIR; replaced are `graph` and `subgraphs`, and only when both are complete.
      beam_args: Beam's options and those of the two stages.

    Raises:
      E2EGRecError: there is nothing to refresh, the description changed, or one of the stages refuses its input.
    """
    require_mounted(run_directory)
    if description.graph.edges != "swing":
        raise E2EGRecError(
            f"`graph.edges` is `{description.graph.edges}`, a control, which is not kept up to date; run `{_FULL_RUN}`"
        )
    root = Path(run_directory)
    graph_dir, subgraphs_dir = root / "graph", root / "subgraphs"
    staging = root / ".refresh"
    shutil.rmtree(staging, ignore_errors=True)  # of a refresh that was killed, as are the two below
    for directory in (graph_dir, subgraphs_dir):
        restore_directory(directory)
    graph = read_manifest(graph_dir, SWING, "e2egrec swing")
    subgraphs = read_manifest(subgraphs_dir, SUBGRAPHS, "e2egrec subgraphs")
    require_same_description(graph.configuration, swing_configuration(description), root)
    require_same_description(
        subgraphs.configuration, subgraphs_configuration(description), root, may_differ=("split",)
    )
    if (
        subgraphs.fingerprint == subgraphs_fingerprint(description)
        and subgraphs.upstream == graph.fingerprint
    ):
        windows, files = len(known_windows(graph.details)), subgraphs.counters.get("files", 0)
        return Refreshed(graph, subgraphs, 0, windows, 0, files, is_new=False)
    try:
        graph = run_swing(description, staging / "graph", beam_args, reuse=graph_dir)
        subgraphs = run_subgraphs(
            description, staging / "graph", staging / "subgraphs", beam_args, reuse=subgraphs_dir
        )
        # Killed between the two renames, the run has a stale `subgraphs`, which every later stage and the next refresh notice.
        replace_directory(staging / "graph", graph_dir)
        replace_directory(staging / "subgraphs", subgraphs_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    snapshots, files = graph.counters["snapshots_reused"], subgraphs.counters["files_reused"]
    return Refreshed(
        graph=graph,
        subgraphs=subgraphs,
        snapshots_computed=len(known_windows(graph.details)) - snapshots,
        snapshots_reused=snapshots,
        files_written=subgraphs.counters["files"] - files,
        files_reused=files,
        is_new=True,
    )


def require_same_description(
    made_from: dict[str, Any], described: dict[str, Any], run_directory: Path, may_differ: Sequence[str] = ()
) -> None:
    """Refuse to reuse artefacts of another description.

    Args:
      made_from: `Manifest.configuration`.
      described: the same part of the description at hand.
      run_directory: for the message.
      may_differ: keys that are not compared, besides the `paths` of logs and tables.

    Raises:
      E2EGRecError: a key differs; the message names it.
    """
    old, new = (_comparable(one, may_differ) for one in (made_from, described))
    key = first_difference(old, new)
    if key is not None:
        raise E2EGRecError(
            f"`{key}` of the description is not what {run_directory} was made from, so nothing there can be reused; run `{_FULL_RUN}`"
        )


def first_difference(old: object, new: object, key: str = "") -> str | None:
    """The first key, such as `graph.swing.top`, under which two JSON values differ; None where they are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = {name: (old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = {str(i): pair for i, pair in enumerate(zip(old, new, strict=True))}
    else:
        return None if old == new else key
    found = (first_difference(*pair, f"{key}.{name}".lstrip(".")) for name, pair in pairs.items())
    return next((one for one in found if one is not None), None)


def _comparable(configuration: dict[str, Any], may_differ: Sequence[str]) -> dict[str, Any]:
    """A copy without what may differ, in the form that JSON gives it."""
    copy = json.loads(json.dumps(configuration, default=str))
    for source in _SOURCES:
        for table in copy.get(source, []):
            table.pop("paths", None)
    return {name: value for name, value in copy.items() if name not in may_differ}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags, refresh, print what was done; the exit code is 2 after a mistake in the input."""
    parser = argparse.ArgumentParser(
        prog="python -m beam_pipelines.refresh", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--input", required=True, help="data set description (YAML)")
    parser.add_argument("--data", help="folder of the data; the description's own if absent")
    parser.add_argument("--output", required=True, help="RUN_DIR, which holds graph and subgraphs")
    arguments, beam_args = parser.parse_known_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("beam_pipelines").setLevel(logging.INFO)
    try:
        refreshed = run_refresh(
            load_description(arguments.input, arguments.data), arguments.output, beam_args
        )
    except E2EGRecError as error:
        print(error, file=sys.stderr)
        return 2
    print(sentence(refreshed, arguments.output))
    return 0


def sentence(refreshed: Refreshed, run_directory: str) -> str:
    """What a refresh did, for people."""
    if not refreshed.is_new:
        return f"{run_directory} is up to date: no log or table has changed"
    return (
        f"refreshed {run_directory}: snapshots {refreshed.snapshots_computed:,} computed, {refreshed.snapshots_reused:,} reused; "
        f"record files {refreshed.files_written:,} written, {refreshed.files_reused:,} reused"
    )


if __name__ == "__main__":
    sys.exit(main())

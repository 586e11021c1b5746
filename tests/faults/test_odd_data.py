"""Logs that no one meant to write: what comes of them is harmless, and counted or said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.logs import derived_data, edges_of
from tests.faults.chain import Chain
from tests.faults.tally import BAD_INPUTS, Tally
from tests.faults.warm_process import Ended, WarmProcess

DAY_MS = 86_400_000


class Nightly:
    """Runs `swing` and `subgraphs`, and more where asked, on logs made from the chain's."""

    def __init__(self, chain: Chain, warm: WarmProcess, folder: Path, tally: Tally) -> None:
        self.warm, self.folder, self._whole = warm, folder, chain.whole
        self.run = folder / "run"
        self._tally = tally

    def of(self, rows: Callable[[pa.Table], pa.Table], **options: Any) -> list[Ended]:
        """The two stages on changed rows; both must end well."""
        self._tally.count(BAD_INPUTS)
        self.data = derived_data(self._whole, self.folder / "data", rows=rows, **options)
        done = [self.command("swing"), self.command("subgraphs")]
        assert [one.code for one in done] == [0, 0], [one.err for one in done]
        return done

    def command(self, name: str, *options: str) -> Ended:
        return self.warm.command(name, self.data, "--out", self.run, *options, below=self.run)

    def counters(self, artefact: str) -> dict[str, int]:
        return dict(json.loads((self.run / artefact / "manifest.json").read_text())["counters"])


@pytest.fixture
def nightly(chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally) -> Nightly:
    return Nightly(chain, warm, tmp_path, tally)


def changed(table: pa.Table, **columns: Any) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def edges(nightly: Nightly) -> list[tuple[Any, ...]]:
    found = edges_of(nightly.run)
    assert all(source != target for _, source, target, *_ in found)
    return found


def test_files_that_came_twice(
    nightly: Nightly, tmp_path: Path, chain: Chain, warm: WarmProcess, tally: Tally
) -> None:
    nightly.of(lambda table: table)
    once = edges(nightly)
    rows = nightly.counters("graph")["events"]
    twice = Nightly(chain, warm, tmp_path / "twice", tally)
    twice.of(lambda table: pa.concat_tables([table, table]), files=2)
    assert edges(twice) == once
    assert twice.counters("graph")["duplicate_rows"] == rows
    assert twice.counters("subgraphs")["records"] == nightly.counters("subgraphs")["records"]


def test_clocks_that_run_ahead(nightly: Nightly) -> None:
    """Rows of one in fifty users are a month late: no edge and no recent item comes from after an impression."""

    def skewed(table: pa.Table) -> pa.Table:
        is_ahead = table["user_id"].to_numpy() % 50 == 7
        assert is_ahead.any()
        return changed(table, time_ms=table["time_ms"].to_numpy() + is_ahead * 30 * DAY_MS)

    nightly.of(skewed)
    for snapshot in json.loads((nightly.run / "graph/manifest.json").read_text())["details"][
        "snapshots"
    ].values():
        assert snapshot["newest_event_time"] < snapshot["valid_from"]
    assert nightly.counters("subgraphs")["records"] > 0


def test_a_user_who_never_sleeps(nightly: Nightly) -> None:
    """20,000 events of one user among 1,200: the cap of the graph holds, nothing else grows."""

    def tireless(table: pa.Table) -> pa.Table:
        rng = np.random.default_rng(0)
        more = table.take(rng.integers(0, len(table), 20_000))
        first = table["time_ms"].to_numpy().min()
        return pa.concat_tables(
            [
                table,
                changed(
                    more,
                    user_id=np.full(len(more), 999_999),
                    is_click=np.ones(len(more), table["is_click"].type.to_pandas_dtype()),
                    time_ms=first + rng.integers(0, 5 * DAY_MS, len(more)),
                ),
            ]
        )

    def capped(content: dict[str, Any]) -> None:
        content["graph"]["swing"]["max_behaviours"] = 30

    nightly.of(tireless, content=capped)
    counters = nightly.counters("graph")
    assert counters["snapshot_behaviours_capped"] > 0  # items of the user beyond the cap, per snapshot
    assert counters["events"] >= 21_000 - counters["duplicate_rows"]
    assert counters["edges"] < 50 * counters["items"] * counters["snapshots"] + 1


def test_items_seen_once(nightly: Nightly) -> None:
    nightly.of(lambda table: changed(table, video_id=1_000_000 + np.arange(len(table))))
    assert edges(nightly) == []
    counters = nightly.counters("subgraphs")
    assert counters["isolated_candidates"] == counters["records"] > 0
    assert counters["items"] >= counters["records"]


def no_edges(table: pa.Table) -> pa.Table:
    """Nobody clicks what another one clicks."""
    own = table["user_id"].to_numpy() * 1_000 + table["video_id"].to_numpy() % 7
    return changed(table, video_id=own)


def test_a_graph_without_edges(nightly: Nightly) -> None:
    done = nightly.of(no_edges)
    assert "the graph has no Swing edges" in done[0].err
    assert edges(nightly) == []
    assert nightly.counters("subgraphs")["swing_edges"] == 0


def test_clicks_again_and_again_are_no_loops(nightly: Nightly) -> None:
    """Each user clicks one of three items all the time: an item is never its own neighbour."""

    def loops(table: pa.Table) -> pa.Table:
        return changed(
            table,
            video_id=table["video_id"].to_numpy() % 3,
            is_click=np.ones(len(table), table["is_click"].type.to_pandas_dtype()),
        )

    nightly.of(loops, content=lambda content: content["ranker"].update(reward="like"))
    assert {key for _, source, target, *_ in edges(nightly) for key in (source, target)} == {0, 1, 2}


def test_one_giant_component(nightly: Nightly) -> None:
    """Everybody clicks everything: every item has every other one as a neighbour, up to `top`."""

    def everything(table: pa.Table) -> pa.Table:
        return changed(table, is_click=np.ones(len(table), table["is_click"].type.to_pandas_dtype()))

    def capped(content: dict[str, Any]) -> None:
        content["graph"]["swing"]["top"] = 10
        content["ranker"]["reward"] = "like"

    nightly.of(everything, content=capped)
    degree: dict[tuple[str, int], int] = {}
    for snapshot, _, target, *_ in edges(nightly):
        degree[snapshot, target] = degree.get((snapshot, target), 0) + 1
    assert max(degree.values()) == 10


def test_a_log_file_without_rows(nightly: Nightly) -> None:
    nightly.of(lambda table: table)
    whole = edges(nightly)
    path = next((nightly.data.parent / "interactions").glob("*.parquet"))
    pq.write_table(pq.read_table(path).slice(0, 0), path.with_name("log-9.parquet"))
    assert nightly.command("swing", "--force").code == 0
    assert edges(nightly) == whole

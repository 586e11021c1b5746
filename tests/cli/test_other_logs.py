"""Logs as people have them: text ids, CSV, JSON lines, other names and units, positives alone, two domains."""

import datetime
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from serving.server_command import start_server
from tests.cli.job import TINY, manifest, read_logs, refuse, rewrite, succeed
from tests.cli.logs import as_text, derived_data, edges_of, records_of, write_csv, write_jsonl


def rename(table, **names):
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def csv_with_other_names_and_seconds(data, folder):
    def rows(table):
        seconds = pa.array(np.asarray(table["time_ms"]) / 1000.0)
        table = table.set_column(table.column_names.index("time_ms"), "at", seconds)
        return rename(table, user_id="who", video_id="what", is_click="clicked")

    def content(description):
        log = description["interactions"][0]
        log.update(user="who", item="what", time={"column": "at", "unit": "s"})
        log["behaviours"]["click"] = {"column": "clicked"}

    return derived_data(data, folder, rows=rows, content=content, write=write_csv, files=2)


def json_lines_with_iso_times(data, folder):
    def rows(table):
        times = [
            datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat(timespec="milliseconds")
            for ms in table["time_ms"].to_pylist()
        ]
        return table.set_column(table.column_names.index("time_ms"), "time_ms", pa.array(times))

    def content(description):
        description["interactions"][0]["time"]["unit"] = "iso"

    return derived_data(data, folder, rows=rows, content=content, write=write_jsonl)


def parquet_with_nanoseconds(data, folder):
    def rows(table):
        return table.set_column(
            table.column_names.index("time_ms"), "time_ms", pc.multiply(table["time_ms"], 1_000_000)
        )

    def content(description):
        description["interactions"][0]["time"]["unit"] = "ns"

    return derived_data(data, folder, rows=rows, content=content)


@pytest.mark.parametrize(
    "derive", [csv_with_other_names_and_seconds, json_lines_with_iso_times, parquet_with_nanoseconds]
)
def test_formats_names_and_units_change_no_record(data, job, tmp_path, derive):
    path = derive(data, tmp_path / "data")
    for stage in ("swing", "subgraphs"):
        succeed(stage, path, "--out", tmp_path / "run")
    assert edges_of(tmp_path / "run") == edges_of(job[0])
    assert records_of(tmp_path / "run") == records_of(job[0])


def with_text_ids(data, folder):
    def rows(table):
        table = as_text(as_text(table, "user_id", "u"), "video_id", "v-")
        devices = np.array(["phone", "tv", "tablet"])[np.asarray(table["position"]) % 3]
        return table.append_column("device", pa.array(devices))

    def content(description):
        description["interactions"][0]["context"].append(
            {"name": "surface", "column": "device", "type": "categorical"}
        )
        description["training"]["models"] = ["R5"]

    return derived_data(
        data,
        folder,
        rows=rows,
        videos=lambda table: as_text(table, "video_id", "v-"),
        users=lambda table: as_text(table, "user_id", "u"),
        content=content,
    )


@pytest.mark.slow
def test_text_ids_reach_a_served_prediction(data, tmp_path):
    path, run = with_text_ids(data, tmp_path / "data"), tmp_path / "run"
    succeed("run", path, "--out", run)
    kinds = manifest(run / "subgraphs").details["string_columns"]
    assert set(kinds) == {"user", "item", "surface"}
    videos = pq.read_table(tmp_path / "data/videos.parquet")["video_id"].to_pylist()
    candidates = [*videos[:4], "v-none"]
    with start_server(run / "export/R5", "R5", port=0, kind="development") as server:
        request = ("predict", "--target", server.target, "--candidates", ",".join(candidates), "--json")
        context = ("--context", '{"surface": "tv", "position": 2, "time": 1768000000000}')
        answer = json.loads(succeed(*request, "--user", "u17", "--recent", videos[7], *context).out)
        assert sorted(answer["item_ids"]) == sorted(candidates)
        assert answer["score"] == sorted(answer["score"], reverse=True)
        assert all(0 < value < 1 for value in answer["reward"])
        other = json.loads(
            succeed(*request, "--user", "u17", "--recent", videos[7], "--context", '{"surface": "phone"}').out
        )
        assert other["reward"] != answer["reward"]
        assert (
            len(json.loads(succeed(*request, "--user", "17").out)["reward"]) == 5
        )  # a text that looks like a number
        asked = ["predict", "--target", server.target, "--user", "u1", "--candidates", "v-1", "--context"]
        refuse(*asked, '{"surface": 3}', says=("surface: the model takes string, got 3",))
        refuse(*asked, '{"place": 3}', says=("has no context feature place", "it has position, surface"))


def only_clicks(data, folder, **ranker):
    def content(description):
        log = description["interactions"][0]
        log["behaviours"] = {"click": {"always": True}}
        del log["stay"]
        description["ranker"].update(ranker)

    return derived_data(
        data, folder, rows=lambda table: table.filter(pc.equal(table["is_click"], 1)), content=content
    )


def test_positives_alone_need_negatives(data, tmp_path):
    refuse(
        "run", only_clicks(data, tmp_path / "data"), "--out", tmp_path / "run",
        says=(r"all [0-9]+ rows .* have the reward `click`", "declare `ranker.negatives`"),
    )  # fmt: skip
    assert not (tmp_path / "run/graph").exists()  # refused before the first artefact


def test_sampled_negatives(data, tmp_path):
    negatives = {"per_positive": 3, "window": "2d", "every": "6h", "pool_size": 500}
    path = only_clicks(data, tmp_path / "data", negatives=negatives)
    done = succeed("run", path, "--out", tmp_path / "run", "--models", "R0")
    counters = manifest(tmp_path / "run/subgraphs").counters
    assert counters["negatives"] > 2.5 * counters["positives"]
    assert "R0" in done.out
    assert (tmp_path / "run/export/R0/1/saved_model.pb").exists()


@pytest.mark.slow
def test_two_domains(tmp_path):
    sizes = ("--users", 200, "--videos", 100, "--days", 6, "--impressions", 5000)
    succeed("synthesize", tmp_path / "data", "--goods", *sizes)
    path = rewrite(tmp_path / "data/dataset.yaml", lambda content: content.update(TINY))
    done = succeed("run", path, "--out", tmp_path / "run", "--models", "R3")
    assert "regime cross-domain" in done.out
    graph = manifest(tmp_path / "run/graph").counters
    ours = manifest(tmp_path / "run/subgraphs").counters
    videos = len(read_logs(tmp_path / "data"))
    assert graph["graph_rows"] > videos  # the graph sees the goods, too
    assert ours["impressions_logged"] <= videos  # the ranker does not
    domains = {target >> 59 for _, _, target, *_ in edges_of(tmp_path / "run")}
    assert domains == {0, 1}

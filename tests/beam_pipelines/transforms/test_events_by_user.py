import gzip
import json

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml

from beam_pipelines.run import pipeline_options, run_pipeline
from beam_pipelines.transforms import events_by_user
from beam_pipelines.transforms.events_by_user import EventsByUser, user_partition
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.ids import hash_uniform
from tf_e2egrec.errors import E2EGRecError

T = 1_714_564_800_000  # 2024-05-01 12:00 UTC
DESCRIPTION = {
    "name": "test",
    "interactions": {
        "paths": "log-*",
        "format": "parquet",
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {"click": {"column": "click"}},
        "stay": {"gap_to_next": True},
        "context": [{"name": "place", "type": "numeric"}],
    },
    "ranker": {"reward": "click", "rows": [{"users_share": 0.5}]},
    "graph": {"regime": "cross-domain", "positive": ["click"], "explicit": ["click"]},
    "split": {"by": "user_fraction", "train_until": 0.8, "valid_until": 0.9},
}
ROWS = 200


def _log(rows=ROWS):
    index = np.arange(rows)
    return pa.table(
        {
            "user": index * 7 % 23,
            "item": index * 5 % 31,
            "time": T + index * 1000 % 90_000,
            "click": (index % 3 == 0).astype(np.int8),
            "place": index % 4 + 0.5,
        }
    )


def _description(folder, log=None, **changes):
    content = {**DESCRIPTION, **changes}
    content["interactions"] = {**DESCRIPTION["interactions"], **(log or {})}
    return parse_description(yaml.safe_dump(content), "test.yaml").with_data_root(str(folder))


def _run(description, partitions=4, argv=()):
    """Partition -> events, and the counters."""
    found = {}

    def keep(element):
        path = f"{description.data_root}/out-{element[0]}"
        with open(path, "xb") as file:  # noqa: PTH123
            file.write(element[1])

    pipeline = beam.Pipeline(options=pipeline_options(argv))
    _ = pipeline | EventsByUser(description, partitions) | beam.Map(keep)
    counters = run_pipeline(pipeline)
    for partition in range(partitions):
        path = f"{description.data_root}/out-{partition}"
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                found[partition] = EventBlock.from_bytes(file.read())
        except FileNotFoundError:
            continue
    return found, counters


def _write(folder, kind, table):
    folder.mkdir(exist_ok=True)
    if kind == "parquet":
        pq.write_table(table, folder / "log-1", row_group_size=30)
    elif kind == "two files":
        half = len(table) // 2
        pq.write_table(table.slice(half), folder / "log-1")
        pq.write_table(table.slice(0, half), folder / "log-2", row_group_size=17)
    elif kind == "csv":
        pa_csv.write_csv(table, folder / "log-1")
    elif kind == "csv.gz":
        pa_csv.write_csv(table, folder / "whole.csv")
        (folder / "log-1").write_bytes(gzip.compress((folder / "whole.csv").read_bytes()))
    elif kind == "jsonl":
        (folder / "log-1").write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    return {"parquet": "parquet", "two files": "parquet", "csv": "csv", "csv.gz": "csv", "jsonl": "jsonl"}[
        kind
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    _write(folder, "parquet", _log())
    return _run(_description(folder))


def test_every_row_is_with_its_user_in_order(expected):
    events, counters = expected
    assert sorted(events) == [0, 1, 2, 3]
    for partition, block in events.items():
        assert (user_partition(block.user, 4) == partition).all()
        assert block.to_bytes() == block.sorted().to_bytes()
        assert list(block.context) == ["place"]
    assert sum(len(block) for block in events.values()) == ROWS
    assert counters["interactions.0/rows_read"] == counters["graph_rows"] == ROWS
    assert 0 < counters["ranker_rows"] < ROWS
    assert counters["duplicate_rows"] == counters["interactions.0/bad_rows"] == counters["filtered_rows"] == 0


def test_gaps_cross_row_groups(expected):
    log = _log().to_pandas().sort_values(["user", "time", "item"])
    gap = -log.groupby("user")["time"].diff(-1) / 1000
    by_row = {(user, time): one for user, time, one in zip(log.user, log.time, gap, strict=True)}
    for block in expected[0].values():
        labelled = (block.role & 1) > 0
        want = np.array([by_row[key] for key in zip(block.user, block.time, strict=True)])
        np.testing.assert_allclose(block.stay, np.where(labelled, want, np.nan), rtol=1e-6)


@pytest.mark.parametrize("kind", ["two files", "csv", "csv.gz", "jsonl"])
def test_format_and_division_of_the_files_do_not_matter(tmp_path, expected, kind):
    file_format = _write(tmp_path / "data", kind, _log())
    events, counters = _run(_description(tmp_path / "data", {"format": file_format}))
    assert {p: block.to_bytes() for p, block in events.items()} == {
        p: b.to_bytes() for p, b in expected[0].items()
    }
    assert counters == expected[1]


def test_small_elements_give_the_same_events(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(events_by_user, "_MAX_PACKED_BYTES", 1)
    _write(tmp_path / "data", "parquet", _log())
    events, _ = _run(_description(tmp_path / "data"))
    assert {p: block.to_bytes() for p, block in events.items()} == {
        p: b.to_bytes() for p, b in expected[0].items()
    }


@pytest.mark.slow
def test_worker_processes_give_the_same_events(tmp_path, expected):
    _write(tmp_path / "data", "two files", _log())
    argv = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    events, counters = _run(_description(tmp_path / "data"), argv=argv)
    assert {p: block.to_bytes() for p, block in events.items()} == {
        p: b.to_bytes() for p, b in expected[0].items()
    }
    assert counters == expected[1]


def test_bad_filtered_and_duplicate_rows_are_counted(tmp_path):
    table = pa.concat_tables([_log(), _log(3)])
    user = table["user"].to_pylist()
    user[:2] = [None, None]
    table = table.set_column(0, "user", pa.array(user))
    _write(tmp_path / "data", "parquet", table)
    description = _description(
        tmp_path / "data",
        ranker={"reward": "click", "rows": [{"column": "place", "in": [0.5]}]},
        graph=EQUAL,
        bad_rows=0.1,
    )
    events, counters = _run(description)
    assert counters["interactions.0/bad_rows"] == counters["interactions.0/bad_rows/user"] == 2
    assert counters["filtered_rows"] == np.sum(_log()["place"].to_numpy() != 0.5) + 1
    # Rows 0 and 1 came back with the repetition; row 2 is the one that is there twice.
    assert counters["duplicate_rows"] == 1
    assert sum(len(block) for block in events.values()) == ROWS // 4


EQUAL = {"positive": ["click"], "explicit": ["click"]}


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("user", [None] * 3, "3 of 200 rows of `log-*` cannot be used"),
        ("time", [17] * 3, "column `time` is missing, negative or unreadable in 3 rows; found there: 17"),
        ("click", [0] * ROWS, "the reward `click` never happens in the ranker's rows"),
        ("time", [T // 1000] * ROWS, "set `time.unit: s`"),
        (
            "place",
            ["x"] * ROWS,
            "column `place` is missing, negative or unreadable in 200 rows; found there: x",
        ),
    ],
)
def test_unusable_logs_stop_the_pipeline_with_one_sentence(tmp_path, column, values, said):
    table = _log()
    filled = values + table[column].to_pylist()[len(values) :]
    table = table.set_column(table.column_names.index(column), column, pa.array(filled))
    _write(tmp_path / "data", "parquet", table)
    with pytest.raises(E2EGRecError) as caught:
        _run(_description(tmp_path / "data"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "while running" not in str(caught.value)


def test_ids_of_two_types_in_two_files(tmp_path):
    _write(tmp_path / "data", "csv", _log())
    (tmp_path / "data" / "log-2").write_text(f"user,item,time,click,place\nx,1,{T},1,1\n")
    with pytest.raises(E2EGRecError, match=r"user ids are integers in `.*log-1` .* but text in `.*log-2`"):
        _run(_description(tmp_path / "data", {"format": "csv"}))


def test_no_file_is_said_before_the_pipeline_is_built(tmp_path):
    with pytest.raises(E2EGRecError, match=r"no file matches `.*log-\*` \(named by `interactions.0.paths`\)"):
        EventsByUser(_description(tmp_path), 4)


def test_a_damaged_file(tmp_path):
    _write(tmp_path / "data", "parquet", _log())
    whole = (tmp_path / "data" / "log-1").read_bytes()
    (tmp_path / "data" / "log-1").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(E2EGRecError, match=r"log-1` cannot be read as parquet; is it damaged"):
        _run(_description(tmp_path / "data"))


def test_partitions_are_balanced_even_for_a_share_of_the_users():
    users = np.arange(100_000)
    chosen = users[hash_uniform(0, users) < 0.1]
    counts = np.bincount(user_partition(chosen, 16), minlength=16)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()

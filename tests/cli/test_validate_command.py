"""`e2egrec validate` lets a usual day through and stops what stands behind it at another."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.job import e2egrec, refuse, rewrite, succeed

# Of some hundred users a day, whose features say little: only large moves count.
LOOSE = ("--stability", "3", "--rate-ratio", "4")


@pytest.fixture
def newest(data_copy):
    return max((data_copy.parent / "interactions").glob("*.parquet"))


def change(path, make):
    table = pq.read_table(path)
    pq.write_table(make(table), path)


def replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_a_usual_day_passes(data):
    done = succeed("validate", data, *LOOSE)
    assert "2026-01-10 against 2026-01-09" in done.out and "CROSSED" not in done.out
    assert done.err == ""
    found = json.loads(succeed("validate", data, "--day", "2026-01-08", "--json", *LOOSE).out)
    assert (found["before"], found["now"], found["is_sound"]) == ("2026-01-07", "2026-01-08", True)
    assert {"rows", "rate of click", "stability of position", "stability of item/category"} <= {
        one["name"] for one in found["measures"]
    }


CHANGES = {
    "half of the rows": (lambda t: t.slice(0, len(t) // 3), "rows"),
    "no click": (lambda t: replaced(t, "is_click", np.zeros(len(t), int)), "rate of click"),
    "seconds as milliseconds": (lambda t: replaced(t, "stay_s", t["stay_s"].to_numpy() * 1000), "stability of stay"),
    "stay missing": (lambda t: replaced(t, "stay_s", np.full(len(t), np.nan)), "missing stay"),
    "new items": (lambda t: replaced(t, "video_id", t["video_id"].to_numpy() + 100_000), "rows of known items"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_another_day_is_stopped(data_copy, newest, case):
    make, name = CHANGES[case]
    change(newest, make)
    done = e2egrec("validate", data_copy, *LOOSE)
    assert done.code == 1
    assert f"error: {name} of 2026-01-10 is " in done.err
    assert "CROSSED" in done.out and "Traceback" not in done.err
    found = e2egrec("validate", data_copy, "--json", *LOOSE)
    crossed = {one["name"] for one in json.loads(found.out)["measures"] if one["is_crossed"]}
    assert (found.code, name in crossed) == (1, True)


def test_against_another_description(data, data_copy, newest):
    assert succeed("validate", data_copy, "--against", data, "--stability", "0").out.startswith(
        "the new logs against"
    )
    shutil.copy(newest, newest.with_name("day-99.parquet"))  # a file that came twice
    done = e2egrec("validate", data_copy, "--against", data)
    assert done.code == 1
    assert "repeated rows of the new logs" in done.err


def test_schema_drift(data_copy, newest):
    change(newest, lambda table: table.append_column("note", pa.array(["x"] * len(table))))
    assert e2egrec("validate", data_copy, *LOOSE).code == 0  # a new column that nobody asked for
    change(
        newest, lambda table: replaced(table, "user_id", [f"u{one}" for one in table["user_id"].to_pylist()])
    )
    refuse(
        "validate", data_copy, says=("user ids are integers in .*but text in .*day-05", "one type everywhere")
    )
    change(newest, lambda table: table.drop_columns(["position"]))
    refuse("validate", data_copy, says=("day-05.parquet` has no column `position`",))


def test_mistakes(data, data_copy):
    refuse("validate", data, "--day", "2026-02-01", says=("there is no 2026-02-01", "choose another --day"))
    refuse("validate", data, "--day", "2026-01-05", says=("there is no 2026-01-05 with a day before",))
    refuse("validate", data, "--day", "2026-01-08", "--against", data, says=("--day chooses a day of one",))
    refuse("validate", data, "--count-ratio", "0", says=("`count_ratio` is 0.0",))
    other = rewrite(data_copy, lambda content: content["interactions"][0].update(context=[]))
    refuse("validate", data, "--against", other, says=("describes other behaviours or features",))
    assert e2egrec("validate", data, "--day", "tomorrow").code == 2
    for path in (data_copy.parent / "interactions").glob("*.parquet"):
        change(path, lambda table: table.slice(0, 0))
    says = ("have no row that can be used .0 were read", "check `interactions.paths`")
    refuse("validate", data_copy, says=says)
    refuse("validate", data, "--against", data_copy, says=("describes other|have no row",))

import pytest

from tests.evaluation.html_report.toy_report import toy_report
from tf_e2egrec.evaluation.comparison_sheets import (
    checks_sheet,
    costs_sheet,
    differences_by_day_sheet,
    differences_sheet,
)
from tf_e2egrec.evaluation.sheet import difference_text


@pytest.fixture(scope="module")
def report():
    return toy_report()


def test_differences_of_every_model_and_metric(report):
    sheet = differences_sheet(report)
    assert sheet.columns == ["models", "ΔAUC", "ΔGAUC", "Δlog loss", "ΔNDCG@10", "Δstay MAE [s]", "ΔXAUC"]
    assert [row[0] for row in sheet.rows] == [
        f"R5 - {other}" for other in ("R0", "R1", "R3@x=<b>bold</b>", "R5-random-graph")
    ]
    one = report["differences"]["overall"]["R1"]
    assert sheet.rows[1][1:3] == [difference_text(one["auc"]), difference_text(one["gauc"])]


def test_differences_by_day(report):
    sheet = differences_by_day_sheet(report, "gauc")
    assert sheet.columns[:3] == ["day", "R5 - R0", "R5 - R1"]
    days = report["differences"]["days"]
    assert [row[0] for row in sheet.rows] == list(days)
    assert sheet.rows[1][2] == difference_text(days["2024-05-02"]["R1"]["gauc"])


def test_costs_without_unknown_columns(report):
    sheet = costs_sheet(report)
    assert sheet.columns == [
        "model",
        "parameters",
        "frozen",
        "s/step",
        "training [s]",
        "GNN refresh [s]",
        "memory [MiB]",
    ]
    assert sheet.rows[0] == ["R0", "1,234", "0", "0.250", "9", "0", "1,500"]
    other = report["costs"]["R0"] | {"training_seconds": None, "peak_gpu_memory_mib": 7.0}
    sheet = costs_sheet(report | {"costs": report["costs"] | {"R0": other}})
    assert sheet.columns[-1] == "GPU memory [MiB]"
    assert sheet.rows[0] == ["R0", "1,234", "0", "0.250", "-", "0", "1,500", "7"]


def test_leak_checks(report):
    assert checks_sheet(report).rows == [["edges are older", "swing", "1,234", "no leak found"]]

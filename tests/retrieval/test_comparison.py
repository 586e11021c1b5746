import json
import math

import pytest

from tests.retrieval.toys import clusters
from tests.toy_data import toy_description
from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval.comparison import (
    build_report,
    report_markdown,
    report_notes,
    report_sheets,
    write_report,
)
from tf_e2egrec.retrieval.full_ranking import METRICS


def manifest(model, seed, ndcg, seconds):
    return Manifest(
        stage="recommend",
        configuration={"model": model, "seed": seed, "dim": 8},
        fingerprint="f",
        inputs="d",
        counters={"parameters": 80, "epochs": 7},
        details={
            "meaning": f"what {model} is",
            "test": {f"{metric}@{k}": ndcg * k / 10 for metric in METRICS for k in (5, 10)},
            "chosen": {"epoch": 3 + seed, "seconds": seconds / 2, "cpu_seconds": seconds / 4},
            "seconds": seconds,
            "cpu_seconds": seconds * 2,
            "discrepancy": [0.1, 0.2 + seed],
        },
    )


def report():
    description = toy_description().model_copy(update={"recommend": RecommendSpec(top=[5, 10])})
    finished = {
        "lightgcn": [manifest("lightgcn", 0, 0.4, 10.0), manifest("lightgcn", 1, 0.6, 30.0)],
        "mf": [manifest("mf", 0, 0.25, 1.0), manifest("mf", 1, 0.25, 1.0)],
    }
    return build_report(description, clusters(), finished)


def test_means_and_deviations_over_seeds():
    one = report()["models"]["lightgcn"]
    assert one["test"]["ndcg@10"]["mean"] == pytest.approx(0.5)
    assert one["test"]["ndcg@10"]["std"] == pytest.approx(math.sqrt(0.02))
    assert one["seconds_to_best"]["mean"] == pytest.approx(10.0)
    assert one["cpu_seconds_to_best"]["values"] == [2.5, 7.5]
    assert one["best_epoch"]["mean"] == 3.5
    assert one["discrepancy"] == pytest.approx([0.1, 0.7])
    assert "seed" not in one["configuration"]


def test_the_tables_show_them_and_the_ratio_to_lightgcn(tmp_path):
    made = report()
    sheets = report_sheets(made)
    assert [sheet.title.rpartition(": ")[2] for sheet in sheets] == [
        "lists of 5", "lists of 10", "training", "embedding discrepancy",
    ]  # fmt: skip
    by_ten = {row[0]: row for row in sheets[1].rows}
    assert by_ten["lightgcn"][2] == "0.5000 ± 0.1414" and by_ten["mf"][-1] == "0.500"
    write_report(made, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(made))
    text = (tmp_path / "report.md").read_text()
    assert text == report_markdown(made)
    assert "| mf | 7.0 ± 0.0 | 3.5 ± 0.7 |" in text
    assert "* `mf`: what mf is" in text
    assert "best validation NDCG@10" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_without_validation_the_notes_say_so():
    made = report()
    made["context"]["has_validation"] = False
    assert any("the last epoch counts" in note for note in report_notes(made))

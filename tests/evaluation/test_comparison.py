import io
import json

import numpy as np
import pytest
from rich.console import Console

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.calibration import calibration_report
from tf_e2egrec.evaluation.comparison import (
    build_comparison,
    read_comparison,
    regenerate,
    steps_of,
    write_comparison,
)
from tf_e2egrec.evaluation.comparison_tables import render_comparison
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions, paired_differences
from tf_e2egrec.evaluation.row_facts import NO_FACTS, RowFacts
from tf_e2egrec.evaluation.slices import slice_report
from tf_e2egrec.evaluation.stay_baselines import stay_report

CONTEXT = {"dataset": "toy", "regime": "cross-domain", "protocol": "rolling", "models": ["R0: a | b"]}
COST = {
    "parameters": 10,
    "frozen": 0,
    "seconds_per_step": 0.25,
    "training_seconds": 9.0,
    "refresh_seconds": 0.0,
    "peak_memory_mib": None,
}
CHECKS = [{"check": "edges are older", "graph": "swing", "looked_at": 1234}]
DAYS = ("2024-05-01", "2024-05-02")


def rows_and_predictions(seeds=2, days=DAYS, models=("R0", "R1", "R5")):
    rng = np.random.default_rng(0)
    n = 300
    rows = LabelledRows(
        reward=rng.integers(0, 2, n),
        user=rng.integers(0, 30, n),
        day=np.array(days)[rng.integers(0, len(days), n)],
        stay=rng.lognormal(size=n),
    )
    predicted = {
        model: {seed: Predictions(rng.random(n), rng.lognormal(size=n)) for seed in range(seeds)}
        for model in models
    }
    return rows, predicted


def some_facts(n=300):
    rng = np.random.default_rng(1)
    age = rng.integers(0, 48, n) * 3_600_000
    slices = {"item_age": age, "fresh": age < 24 * 3_600_000, "neighbours": rng.choice([0, 7], n)}
    return RowFacts(slices, {"mean of training": np.full(n, 1.5, "f4")}, "swing")


def comparison(advance=lambda: None, facts=NO_FACTS, **options):
    rows, predicted = rows_and_predictions(**options)
    costs = {model: dict.fromkeys(seeds, COST) for model, seeds in predicted.items()}
    return build_comparison(rows, predicted, CONTEXT, costs, CHECKS, draws=7, advance=advance, facts=facts)


def text(report):
    console = Console(file=io.StringIO(), width=250)
    console.print(render_comparison(report))
    return console.file.getvalue()


def test_the_report_holds_every_scope():
    report = comparison()
    rows, predicted = rows_and_predictions()
    assert report["reference"] == "R5"
    assert set(report["differences"]["overall"]) == {"R0", "R1"}
    assert list(report["differences"]["days"]) == list(DAYS)
    day = rows.day == DAYS[1]
    expected = paired_differences(
        rows.take(day), {m: {s: p.take(day) for s, p in by.items()} for m, by in predicted.items()}, "R5", 7
    )
    assert report["differences"]["days"][DAYS[1]]["R1"]["gauc"] == expected["R1"]["gauc"]
    per_seed = {m: one["per_seed"] for m, one in report["models"].items()}
    xauc = [per_seed["R5"][s]["overall"]["xauc"] - per_seed["R0"][s]["overall"]["xauc"] for s in "01"]
    assert report["differences"]["overall"]["R0"]["xauc"]["difference"] == pytest.approx(np.mean(xauc))
    assert np.isnan(report["differences"]["overall"]["R0"]["xauc"]["low"])
    assert report["models"]["R5"]["gain"]["auc_above_chance"]["n"] == 2
    assert report["costs"]["R0"] == {**COST, "peak_gpu_memory_mib": None}


@pytest.mark.parametrize("facts", [NO_FACTS, some_facts()])
@pytest.mark.parametrize("days", [DAYS, ("all",)])
def test_progress_is_announced_and_kept(days, facts):
    done = []
    comparison(advance=lambda: done.append(1), days=days, facts=facts)
    assert len(done) == steps_of(*rows_and_predictions(days=days), draws=7, facts=facts)


def test_facts_become_slices_and_stay_baselines():
    rows, predicted = rows_and_predictions()
    facts = some_facts()
    report = comparison(facts=facts)
    expected = slice_report(rows, predicted, facts.slices, "R5", 7)
    assert json.dumps(report["slices"]) == json.dumps({"graph": "swing", "dimensions": expected})
    assert report["stay_baselines"] == stay_report(rows, predicted, facts.baselines, 7)
    assert report["calibration"] == calibration_report(rows, predicted)
    without = comparison()
    assert without["slices"] == without["stay_baselines"] == {}


def test_the_terminal_shows_ages_and_the_markdown_every_slice(tmp_path):
    report = comparison(facts=some_facts())
    back = write_comparison(report, tmp_path)
    markdown, shown = (tmp_path / "report.md").read_text(), text(report)
    assert shown == text(back)
    for said in (
        "AUC by item age",
        "paired differences of AUC by item age",
        "stay duration of 300 labelled rows",
    ):
        assert said in shown, said
        assert said in markdown, said
    assert "by neighbours of the item" in markdown
    assert "by neighbours of the item" not in shown
    age = {one["bin"]: one for one in report["slices"]["dimensions"]["item_age"]}
    few = age["< 1 h"]
    assert few["left_out"] == f"{few['positives']} positives, fewer than 50"
    assert f"| < 1 h | {few['rows']} | {few['positives']} | - | - | - | {few['left_out']} |" in markdown
    fresh = age["< 1 d"]["differences"]["R1"]
    assert f"{fresh['difference']:+.4f} [{fresh['low']:+.4f}, {fresh['high']:+.4f}]" in markdown
    baseline = report["stay_baselines"]["baselines"]["mean of training"]
    assert f"| mean of training | {baseline['stay_mae']:.4f} | 0.5000 | - |" in markdown
    first = (tmp_path / "report.md").read_bytes()
    regenerate(tmp_path)
    assert (tmp_path / "report.md").read_bytes() == first


def test_a_report_of_an_older_version_is_rendered(tmp_path):
    report = comparison(facts=some_facts())
    del report["slices"], report["stay_baselines"], report["calibration"]
    for one in report["models"].values():
        del one["day_gains"]
    write_comparison(report, tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    for absent in ("item age", "labelled rows", "ΔAUC / AUC over"):
        assert absent not in markdown
    assert "R5 - R0" in markdown


def test_without_the_full_model_the_last_one_is_the_reference():
    report = comparison(models=("R0", "R3", "R1"))
    assert report["reference"] == "R1"
    assert "R1 - R3" in text(report)


def test_markdown_and_page_come_from_the_json_alone(tmp_path):
    report = comparison()
    back = write_comparison(report, tmp_path)
    first, page = ((tmp_path / name).read_bytes() for name in ("report.md", "report.html"))
    for name in ("report.md", "report.html"):
        (tmp_path / name).unlink()
    assert (
        regenerate(tmp_path)
        == back
        == json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    )
    assert (tmp_path / "report.md").read_bytes() == first
    assert (tmp_path / "report.html").read_bytes() == page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]
    assert text(back) == text(report)


def test_every_table_names_regime_protocol_and_seeds(tmp_path):
    write_comparison(comparison(), tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    assert markdown.startswith("# Comparison on toy, regime cross-domain, protocol rolling\n")
    titles = [line for line in markdown.splitlines() if line.startswith("## ")]
    assert len(titles) == 11
    assert all(title.startswith("## toy, regime cross-domain, rolling, 2 seeds: ") for title in titles)
    for said in ("R0: a \\| b", "paired differences", "R5 - R1", "| 0.250 | 9 | 0 | - |", "1,234 | no leak found", "7 draws"):  # fmt: skip
        assert said in markdown, said


def test_one_day_and_one_seed():
    report = comparison(days=("all",), seeds=1)
    shown = text(report)
    assert "per day" not in shown
    differences = report["differences"]
    assert json.dumps(differences["days"]["all"]) == json.dumps(differences["overall"])
    assert "] ±" not in shown


def test_one_model_alone_has_no_differences():
    report = comparison(models=("R3",))
    assert report["differences"]["overall"] == {}
    assert "paired" not in text(report)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "holds no report.json; run `e2egrec compare`"), ("{", "is damaged"), ("{}", "is no report of")],
)
def test_directories_that_hold_no_comparison(tmp_path, content, says):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(E2EGRecError, match=says):
        read_comparison(tmp_path)

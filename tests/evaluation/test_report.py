import io
import json

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation import metrics as m
from tf_e2egrec.evaluation.report import (
    COUNTS,
    METRICS,
    build_report,
    evaluate_predictions,
    render_report,
    write_report,
)
from tf_e2egrec.evaluation.report_tables import relative_gains_sheet

CONTEXT = {"dataset": "toy", "regime": "equal", "machine": "2 cores"}


def _predictions(seed=0, n=600, signal=1.0):
    data, noise = np.random.default_rng(7), np.random.default_rng(seed)
    reward = data.integers(0, 2, n)
    stay = np.where(data.random(n) < 0.8, data.lognormal(size=n), np.nan)
    logit = signal * (2 * reward - 1) + noise.normal(size=n)
    return {
        "reward": reward,
        "reward_probability": 1 / (1 + np.exp(-logit)),
        "user": data.integers(0, 20, n) * 10**12,
        "day": np.where(data.random(n) < 0.4, "2024-05-02", "2024-05-01"),
        "stay": stay,
        "stay_seconds": np.nan_to_num(stay) + noise.random(n),
    }


def _report(**context):
    results = {
        "R0": {seed: evaluate_predictions(**_predictions(seed, signal=0.3)) for seed in range(3)},
        "R5": {seed: evaluate_predictions(**_predictions(seed, signal=0.6)) for seed in range(3)},
    }
    return build_report(results, CONTEXT | context)


def _text(report):
    console = Console(file=io.StringIO(), width=200)
    console.print(render_report(report))
    return console.file.getvalue()


def test_metrics_overall_and_per_day():
    rows = _predictions()
    result = evaluate_predictions(**rows)
    assert list(result["days"]) == ["2024-05-01", "2024-05-02"]
    parts = {None: np.ones(600, bool)}
    parts.update({day: rows["day"] == day for day in result["days"]})
    for name, keep in parts.items():
        values = result["overall"] if name is None else result["days"][name]
        assert set(values) == {*METRICS, *COUNTS}
        label, score, stay = rows["reward"][keep], rows["reward_probability"][keep], rows["stay"][keep]
        group = np.array([f"{u} {d}" for u, d in zip(rows["user"][keep], rows["day"][keep], strict=True)])
        assert values["auc"] == pytest.approx(roc_auc_score(label, score))
        assert (values["gauc"], values["gauc_coverage"]) == pytest.approx(m.gauc(label, score, group))
        assert values["ndcg@10"] == pytest.approx(m.ndcg_at_k(label, score, group).value)
        assert values["stay_mae"] == pytest.approx(m.mae(stay, rows["stay_seconds"][keep]).value)
        assert values["xauc"] == pytest.approx(m.xauc(stay, rows["stay_seconds"][keep]).value)
        assert values["impressions"] == keep.sum()
        assert values["positives"] == label.sum()
        assert values["stay_rows"] == (~np.isnan(stay)).sum()


def test_without_stay_labels():
    rows = _predictions()
    result = evaluate_predictions(**rows | {"stay": None, "stay_seconds": None})
    assert result["overall"]["stay_rows"] == 0
    assert np.isnan(result["overall"]["stay_mae"])
    report = build_report({"R0": {0: result}}, CONTEXT)
    assert "stay MAE" not in _text(report).split("per day")[0].split("\n")[2]


def test_means_deviations_and_gains():
    report = _report()
    aucs = {
        name: [v["overall"]["auc"] for v in one["per_seed"].values()]
        for name, one in report["models"].items()
    }
    for name, values in aucs.items():
        spread = report["models"][name]["overall"]["auc"]
        assert spread == pytest.approx({"mean": np.mean(values), "std": np.std(values, ddof=1), "n": 3})
    difference = np.subtract(aucs["R5"], aucs["R0"])
    gain = report["models"]["R5"]["gain"]
    assert gain["auc"] == pytest.approx({"mean": difference.mean(), "std": difference.std(ddof=1), "n": 3})
    assert gain["auc_relative"]["mean"] == pytest.approx(np.mean(difference / aucs["R0"]))
    assert gain["auc_above_chance"]["mean"] == pytest.approx(
        np.mean(difference / (np.array(aucs["R0"]) - 0.5))
    )
    assert gain["paired"]
    assert gain["within_noise"] is False
    assert report["models"]["R0"]["gain"] is None


def test_no_difference_is_called_noise():
    seeds = {seed: evaluate_predictions(**_predictions(seed)) for seed in range(4)}
    shifted = {seed: seeds[(seed + 1) % 4] for seed in range(4)}
    report = build_report({"R0": seeds, "R5": shifted}, CONTEXT)
    assert report["models"]["R5"]["gain"]["within_noise"] is True
    assert "(≈)" in _text(report)


def test_one_seed_has_no_deviation_and_no_verdict():
    one = evaluate_predictions(**_predictions())
    report = build_report({"R0": {0: one}, "R5": {9: one}}, CONTEXT)
    gain = report["models"]["R5"]["gain"]
    assert np.isnan(report["models"]["R0"]["overall"]["auc"]["std"])
    assert gain["within_noise"] is None
    assert not gain["paired"]
    assert "±" not in _text(report).split("Mean ±")[0]


def test_relative_gains_of_each_day_and_their_mean():
    report = _report()
    per_seed = {name: report["models"][name]["per_seed"] for name in ("R0", "R5")}
    gains = report["models"]["R5"]["day_gains"]
    by_day = {}
    for day in report["counts"]["days"]:
        ours, theirs = (
            np.array([per_seed[name][str(seed)]["days"][day]["auc"] for seed in range(3)])
            for name in ("R5", "R0")
        )
        by_day[day] = {
            "auc_relative": ours / theirs - 1,
            "auc_above_chance": (ours - theirs) / (theirs - 0.5),
        }
        for name, expected in by_day[day].items():
            found = gains[name]["days"][day]
            assert (found["mean"], found["std"], found["n"]) == pytest.approx(
                (expected.mean(), expected.std(ddof=1), 3)
            )
    assert len(by_day) == 2
    for name, one in gains.items():
        of_seeds = np.mean([values[name] for values in by_day.values()], axis=0)
        assert (one["mean"]["mean"], one["mean"]["std"]) == pytest.approx(
            (of_seeds.mean(), of_seeds.std(ddof=1))
        )
    assert report["models"]["R0"]["day_gains"] is None
    sheet = relative_gains_sheet(report, "auc_relative", "gain")
    assert sheet.columns == ["day", "R5"]
    assert [row[0] for row in sheet.rows] == ["2024-05-01", "2024-05-02", "mean of the days"]
    assert sheet.rows[0][1].startswith(f"{by_day['2024-05-01']['auc_relative'].mean() * 100:+.2f} ± ")


def test_a_day_of_one_class_has_no_relative_gain():
    results = {}
    for model, signal in {"R0": 0.3, "R5": 0.6}.items():
        rows = _predictions(signal=signal)
        rows["reward"] = np.where(rows["day"] == "2024-05-02", 0, rows["reward"])
        results[model] = {0: evaluate_predictions(**rows)}
    one = build_report(results, CONTEXT)["models"]["R5"]["day_gains"]["auc_relative"]
    assert np.isnan(one["days"]["2024-05-02"]["mean"])
    assert one["mean"]["mean"] == one["days"]["2024-05-01"]["mean"] > 0


def test_gains_without_a_common_seed_have_no_days():
    results = {
        "R0": {0: evaluate_predictions(**_predictions(0))},
        "R5": {1: evaluate_predictions(**_predictions(1))},
    }
    gains = build_report(results, CONTEXT)["models"]["R5"]["day_gains"]["auc_relative"]
    assert gains["mean"]["n"] == gains["days"]["2024-05-01"]["n"] == 0
    assert np.isnan(gains["mean"]["mean"])


def test_without_the_baseline_there_are_no_gains():
    report = build_report({"R5": {0: evaluate_predictions(**_predictions())}}, CONTEXT)
    assert report["baseline"] is None
    assert "gain over" not in _text(report)


def test_the_tables_name_regime_seeds_models_and_days():
    text = _text(_report(regime="cross-domain"))
    assert text.count("regime cross-domain, 3 seeds") == 3
    for word in (
        "R0",
        "R5",
        "AUC",
        "GAUC",
        "XAUC",
        "2024-05-01",
        "2024-05-02",
        "gain over R0",
        "ΔAUC / (AUC - 0.5)",
    ):
        assert word in text


def test_the_report_is_written_whole_and_reads_back(tmp_path):
    report = _report()
    report["models"]["R5"]["overall"]["xauc"]["mean"] = float("nan")
    report["context"]["note"] = "a | b"
    path = write_report(report, tmp_path / "evaluation")
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.json", "report.md"]
    back = json.loads(path.read_text(), parse_constant=pytest.fail)
    auc = report["models"]["R5"]["per_seed"]["1"]["overall"]["auc"]
    assert back["models"]["R5"]["per_seed"]["1"]["overall"]["auc"] == auc  # every digit
    assert back["models"]["R5"]["overall"]["xauc"]["mean"] is None
    assert _text(back) == _text(report)
    markdown = (path.parent / "report.md").read_text()
    assert markdown.startswith("# Evaluation on toy, regime equal\n")
    assert "- machine: 2 cores" in markdown
    assert "a \\| b" in markdown
    write_report(_report(), path.parent)


@pytest.mark.parametrize("missing", ["dataset", "regime"])
def test_no_figure_without_its_regime(missing):
    context = {key: value for key, value in CONTEXT.items() if key != missing}
    with pytest.raises(E2EGRecError, match=missing):
        build_report({"R0": {0: evaluate_predictions(**_predictions())}}, context)


def test_models_must_share_their_rows():
    results = {
        "R0": {0: evaluate_predictions(**_predictions())},
        "R5": {0: evaluate_predictions(**_predictions(n=500))},
    }
    with pytest.raises(E2EGRecError, match=r"R5 \(seed 0\) and R0 \(seed 0\).*different rows"):
        build_report(results, CONTEXT)


def test_nothing_to_evaluate_or_report():
    with pytest.raises(E2EGRecError, match="nothing to report"):
        build_report({}, CONTEXT)
    with pytest.raises(E2EGRecError, match="no impression"):
        evaluate_predictions(reward=[], reward_probability=[], user=[], day=[])
    with pytest.raises(E2EGRecError, match="length"):
        evaluate_predictions(reward=[0, 1], reward_probability=[0.5], user=[1, 1], day=["a", "a"])


def test_a_report_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(E2EGRecError, match="cannot be written"):
        write_report(_report(), tmp_path / "file")

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.paired_differences import user_weights
from tf_e2egrec.evaluation.policy_outcomes import (
    POLICY_METRICS,
    CandidateOutcomes,
    policy_metrics,
    policy_outcomes,
)
from tf_e2egrec.evaluation.simulation_report import build_simulation, write_simulation
from tf_e2egrec.evaluation.simulation_tables import render_simulation, simulation_markdown

USERS, SIZE = 40, 8
CONTEXT = {"dataset": "toy", "regime": "equal", "score": "by {nothing}", "models": ["R0: a | b"]}


def toy_rows():
    rng = np.random.default_rng(0)
    n = USERS * SIZE
    p = rng.random(n)
    click = (rng.random(n) < p).astype("f4")
    return CandidateOutcomes(
        user=np.repeat(np.arange(USERS), SIZE),
        item=np.tile(np.arange(SIZE), USERS),
        click=click,
        stay=(click * rng.exponential(20, n)).astype("f4"),
        click_probability=p,
        expected_stay=20 * p,
    )


def toy_scores(rows, seeds=3):
    """R0 sees little of the truth, R5 much of it."""
    rng = np.random.default_rng(1)
    return {
        model: {
            seed: rows.click_probability + noise * rng.normal(size=len(rows.user)) for seed in range(seeds)
        }
        for model, noise in (("R0", 1.0), ("R5", 0.1), ("R2b", 0.4))
    }


def simulated(seeds=3, draws=50, **options):
    rows = toy_rows()
    bounds = {"oracle": {0: rows.expected_stay}}
    return build_simulation(rows, toy_scores(rows, seeds), bounds, CONTEXT, draws=draws, **options)


def test_means_differences_and_intervals():
    rows, steps = toy_rows(), []
    scores = toy_scores(rows)
    report = simulated(advance=lambda: steps.append(1))
    assert report["simulation"] is True
    assert report["reference"] == "R5"
    assert report["context"]["users"] == USERS
    assert len(steps) == 2 * 50
    for size in (1, 5):
        sums = {m: [policy_outcomes(rows, one, size) for one in scores[m].values()] for m in scores}
        figures = {m: np.array([policy_metrics(one, np.ones(USERS)) for one in sums[m]]) for m in sums}
        drawn = np.array(
            [
                np.mean(
                    [
                        policy_metrics(ours, weights) - policy_metrics(theirs, weights)
                        for ours, theirs in zip(sums["R5"], sums["R0"], strict=True)
                    ],
                    axis=0,
                )
                for weights in (user_weights(np.arange(USERS), draw) for draw in range(50))
            ]
        )
        policies, differences = report["policies"][str(size)], report["differences"][str(size)]
        assert list(policies) == ["oracle", "R0", "R5", "R2b"]
        assert set(differences) == {"R0", "R2b"}
        assert [one["is_model"] for one in policies.values()] == [False, True, True, True]
        for column, metric in enumerate(POLICY_METRICS):
            ours, theirs = figures["R5"][:, column], figures["R0"][:, column]
            assert policies["R0"][metric]["mean"] == pytest.approx(theirs.mean())
            assert policies["R0"][metric]["std"] == pytest.approx(theirs.std(ddof=1))
            found = differences["R0"][metric]
            low, high = np.percentile(drawn[:, column], [2.5, 97.5])
            assert found == pytest.approx(
                {
                    "difference": (ours - theirs).mean(),
                    "low": low,
                    "high": high,
                    "seed_error": (ours - theirs).std(ddof=1) / math.sqrt(3),
                    "seeds": 3,
                    "relative": (ours - theirs).mean() / theirs.mean(),
                }
            )
    assert report["policies"]["1"]["oracle"]["seeds"] == 1
    assert math.isnan(report["policies"]["1"]["oracle"]["play_rate"]["std"])
    # The better model earns more and is skipped less.
    difference = report["differences"]["5"]["R0"]
    assert difference["play_rate"]["low"] > 0 > difference["skips_per_user"]["high"]


def test_other_seeds_are_not_paired():
    rows = toy_rows()
    scores = toy_scores(rows)
    del scores["R0"][1]
    with pytest.raises(E2EGRecError, match=r"R0 has the seeds \[0, 2\], R5 \[0, 1, 2\]"):
        build_simulation(rows, scores, {}, CONTEXT)


def test_without_r5_the_last_model_is_the_reference_and_one_model_has_no_differences():
    rows = toy_rows()
    scores = toy_scores(rows)
    some = {name: scores[name] for name in ("R2b", "R0")}
    assert build_simulation(rows, some, {}, CONTEXT, draws=2)["reference"] == "R0"
    alone = build_simulation(rows, {"R0": scores["R0"]}, {}, CONTEXT, draws=2)
    assert alone["differences"] == {"1": {}, "5": {}}
    assert "Differences" not in simulation_markdown(alone)


def test_everything_written_and_printed_is_marked(tmp_path):
    made = write_simulation(simulated(seeds=1), tmp_path / "new")
    text = (tmp_path / "new" / "simulation.json").read_text()
    assert json.loads(text) == made
    assert made["simulation"] is True
    assert made["differences"]["1"]["R0"]["play_rate"]["seed_error"] is None
    markdown = (tmp_path / "new" / "simulation.md").read_text()
    assert markdown == simulation_markdown(json.loads(text))
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert len(headings) == 5
    assert all("simulation" in line.lower() for line in headings)
    assert "SIMULATION: users, videos and outcomes are generated" in markdown
    assert "by {nothing}" in markdown
    assert "R0: a \\| b" in markdown
    found = made["differences"]["1"]["R0"]["play_rate"]
    cell = "{difference:+.4f} [{low:+.4f}, {high:+.4f}]".format(**found)
    assert f"{cell} ({100 * found['relative']:+.2f} %)" in markdown
    console = Console(file=io.StringIO(), width=300)
    console.print(render_simulation(made))
    printed = console.file.getvalue()
    assert printed.count("simulation: toy, regime equal, the best") == 4
    assert cell in printed

import pytest

from tf_e2egrec.evaluation.html_report.headline import finding, findings, verdict


def difference(value, width=0.002, error=None):
    low, high = (None, None) if width is None else (value - width, value + width)
    return {
        "difference": value,
        "low": low,
        "high": high,
        "seed_error": error,
        "seeds": 1 if error is None else 3,
    }


def report(auc, gauc=None, reference="R5", seeds=(0, 1, 2)):
    """Of differences of AUC and GAUC by the other model."""
    gauc = gauc or {}
    same = difference(0.01)
    overall = {other: {"auc": one, "gauc": gauc.get(other, same)} for other, one in auc.items()}
    models = {model: {"seeds": list(seeds)} for model in [*auc, reference]}
    return {"reference": reference, "differences": {"overall": overall}, "models": models}


def test_better_than_every_control():
    found = report(
        {
            "R0": difference(0.03),
            "R1": difference(0.02),
            "R5-random-graph": difference(0.025),
            "R3": difference(-0.1),
        }
    )
    assert verdict(found) == (
        "The graph helps: R5 lies above R0, R1 and R5-random-graph in AUC, least above R1, by +0.0200 [+0.0180, +0.0220]."
    )
    assert len(findings(found)) == 3
    assert findings(found)[0] == (
        "R5 - R0 (the ranker alone): AUC +0.0300 [+0.0280, +0.0320]: above; "
        "GAUC, within users +0.0100 [+0.0080, +0.0120]: above."
    )


def test_one_control_alone_is_said_to_be_few():
    found = report({"R0": difference(0.0016)}, seeds=(0,))
    found["differences"]["overall"]["R0"]["auc"] = difference(0.0016, 0.0007)
    assert verdict(found) == "The graph helps: R5 lies above R0 in AUC, by +0.0016 [+0.0009, +0.0023]."
    assert findings(found)[1:] == [
        "Not compared: R1 (the same capacity without neighbours) and R5-random-graph (a random graph of the same degrees). "
        "A gain may come from elsewhere than the graph's edges.",
        "One seed: an interval over users knows nothing of other seeds.",
    ]


@pytest.mark.parametrize(
    ("hardest", "says"),
    [
        (difference(0.001, 0.003), "does not separate: +0.0010 [-0.0020, +0.0040]: the interval holds 0."),
        (difference(0.01, 0.002, 0.01), "does not separate: +0.0100 [+0.0080, +0.0120] ± 0.0100: the seeds differ as much."),
        (difference(0.01, None), "does not separate: +0.0100: no interval is known."),
        (difference(-0.01), "It is not shown that the graph helps: R5 lies below R1 in AUC, by -0.0100 [-0.0120, -0.0080]."),
    ],
)  # fmt: skip
def test_not_better_than_one_of_the_controls(hardest, says):
    found = report({"R0": difference(0.03), "R1": hardest})
    assert verdict(found) == says.replace(
        "does not separate: ", "It is not shown that the graph helps: R5 does not separate from R1 in AUC, "
    )


def test_worse_than_all():
    found = report(
        {"R0": difference(-0.01), "R1": difference(-0.02)}, {"R0": difference(-0.01), "R1": difference(-0.01)}
    )
    assert (
        verdict(found)
        == "The graph does harm: R5 lies below R0 and R1 in AUC, most below R1, by -0.0200 [-0.0220, -0.0180]."
    )


@pytest.mark.parametrize(("sign", "side", "other"), [(1, "above", "below"), (-1, "below", "above")])
def test_auc_and_gauc_may_disagree(sign, side, other):
    found = report({"R0": difference(sign * 0.004)}, {"R0": difference(-sign * 0.009)})
    assert verdict(found).startswith(
        f"AUC and GAUC disagree: R5 lies {side} R0 in AUC, but within users (GAUC) {other} R0, by {-sign * 0.009:+.4f} ["
    )


def test_where_the_question_has_no_answer():
    assert "no control (R0, R1, R5-random-graph) was compared with R5" in verdict(
        report({"R3": difference(0.1)})
    )
    assert findings(report({"R3": difference(0.1)})) == []
    assert verdict(report({})) == "R5 stands alone: nothing was compared with it."
    for control in ("R1", "R5-random-graph"):
        assert "cannot be read here" in verdict(report({"R0": difference(0.1)}, reference=control))


def test_a_control_with_settings_is_a_control():
    found = report({"R1@training.embedding_decay=0.3": difference(0.0, 0.1)})
    assert "does not separate from R1@training.embedding_decay=0.3" in verdict(found)


def test_two_standard_errors_over_seeds_are_needed():
    assert finding("R0", difference(0.0101, 0.001, 0.005)).sign == 1
    assert finding("R0", difference(0.0099, 0.001, 0.005)).sign == 0

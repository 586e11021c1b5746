import re

import numpy as np
import pytest

from tests.evaluation.html_report.svg_reader import read_svg
from tests.evaluation.html_report.toy_report import toy_report
from tf_e2egrec.evaluation.html_report import result_sections

SERIES = ("R0", "R1", "R5-random-graph")  # the controls, in the order of the report


@pytest.fixture(scope="module")
def report():
    return toy_report()


def drawings(section):
    return [read_svg(one) for one in re.findall(r"<svg.*?</svg>", section.body, flags=re.DOTALL)]


def whiskers(root):
    """Both ends of every interval, from top to bottom."""
    lines = [
        one for one in root.iter("line") if one.get("class") == "line" and one.get("y1") == one.get("y2")
    ]
    return np.array([[float(one.get("x1")), float(one.get("x2"))] for one in lines])


def assert_drawn(root, differences):
    """The intervals of a drawing are these, whatever its scale."""
    values, x = np.array([[one["low"], one["high"]] for one in differences]), whiskers(root)
    assert values.shape == x.shape
    fit = np.polyfit(values.ravel(), x.ravel(), 1)
    np.testing.assert_allclose(np.polyval(fit, values), x, atol=0.15)
    assert fit[0] > 0


def test_every_bin_shows_every_control(report):
    found = drawings(result_sections.slices(report))
    dimensions = report["slices"]["dimensions"]
    assert len(found) == len(dimensions) == 2
    for root, bins in zip(found, dimensions.values(), strict=True):
        shown = [one["differences"][other] for one in bins if not one["left_out"] for other in SERIES]
        assert_drawn(root, shown)


def test_every_day_shows_every_control(report):
    (root,) = drawings(result_sections.days(report))
    assert_drawn(
        root, [one[other]["auc"] for one in report["differences"]["days"].values() for other in SERIES]
    )


def test_differences_of_auc_and_of_gauc(report):
    for root, metric in zip(drawings(result_sections.differences(report)), ("auc", "gauc"), strict=True):
        assert_drawn(root, [one[metric] for one in report["differences"]["overall"].values()])


def test_stay_beside_a_baseline(report):
    (root,) = drawings(result_sections.stay(report))
    assert_drawn(root, [one["mean of training"] for one in report["stay_baselines"]["differences"].values()])


def test_without_controls_the_first_models_are_shown():
    found = toy_report(models=("R2", "R3", "R4", "R4@a=1", "R4@a=2", "R5"))
    (root,) = drawings(result_sections.days(found))
    shown = ("R2", "R3", "R4", "R4@a=1")
    assert_drawn(
        root, [one[other]["auc"] for one in found["differences"]["days"].values() for other in shown]
    )

import numpy as np
import pytest

from tests.evaluation.html_report.svg_reader import place_of, read_svg, texts
from tf_e2egrec.evaluation.html_report.interval_plot import IntervalGroup, holds_zero, interval_plot

GROUPS = [
    IntervalGroup("R0", "+0.03", [(0.03, 0.02, 0.04)]),
    IntervalGroup("R1", "+0.00", [(0.001, -0.01, 0.012)]),
    IntervalGroup("R2", "-0.02", [(-0.02, -0.03, -0.01)]),
]


def whiskers(root):
    """x1 and x2 of the horizontal line of every interval."""
    lines = [
        one for one in root.iter("line") if one.get("class") == "line" and one.get("y1") == one.get("y2")
    ]
    return np.array([[float(one.get("x1")), float(one.get("x2"))] for one in lines])


def test_points_and_whiskers_lie_where_the_axis_says():
    root = read_svg(interval_plot(GROUPS, [""], "three models", "ΔAUC"))
    circles = list(root.iter("circle"))
    values = np.array([group.intervals[0] for group in GROUPS])
    x = np.column_stack([[float(one.get("cx")) for one in circles], whiskers(root)])
    fit = np.polyfit(values.ravel(), x.ravel(), 1)
    np.testing.assert_allclose(np.polyval(fit, values), x, atol=0.11)
    assert fit[0] > 0
    for label, value in {"+0.02": 0.02, "-0.02": -0.02, "0.00": 0.0}.items():
        found = [
            float(one.get("x"))
            for one in root.iter("text")
            if one.text == label and one.get("text-anchor") == "middle"
        ]
        assert found == [pytest.approx(np.polyval(fit, value), abs=0.11)]
    (zero,) = [one for one in root.iter("path") if one.get("class") == "zero"]
    assert float(zero.get("d")[1:].split()[0]) == pytest.approx(np.polyval(fit, 0.0), abs=0.11)


def test_a_point_is_hollow_where_the_interval_holds_zero():
    root = read_svg(interval_plot(GROUPS, [""], "three models", "ΔAUC"))
    assert [one.get("class") for one in root.iter("circle")] == ["mark", "hollow", "mark"]
    assert holds_zero((1.0, 0.0, 2.0))
    assert holds_zero((1.0, None, None))
    assert not holds_zero((-1.0, -2.0, -0.5))


def test_series_have_a_legend_and_a_shape_each():
    group = IntervalGroup("1-6 h", "9 rows", [(1, 0.5, 2), None, (2, 1, 3)])
    root = read_svg(interval_plot([group], ["over R0", "over R1", "over R2"], "bins", "ΔAUC"))
    assert [text for text in texts(root) if text.startswith("over")] == ["over R0", "over R1", "over R2"]
    assert len(whiskers(root)) == 2
    classes = [one.get("class") for one in root.iter("g")]
    assert classes == ["s0", "s1", "s2", "s0", "s2"]


def test_a_long_label_is_wrapped_and_its_figures_stand_below():
    label = "R5@graph.sampling.fanout=5+training.epochs=2+model.layer_weights=[0.9,0.1]"
    root = read_svg(interval_plot([IntervalGroup(label, "+0.1", [(0.1, 0.0, 0.2)])], [""], "one", "ΔAUC"))
    lines = [one for one in root.iter("text") if one.get("x") == "0"]
    assert "".join(one.text for one in lines) == label
    assert len(lines) == 2
    short = read_svg(interval_plot([IntervalGroup("R5", "+0.1", [(0.1, 0.0, 0.2)])], [""], "one", "ΔAUC"))
    assert place_of(short, "+0.1") == place_of(root, "+0.1")


def test_unknown_figures_are_not_drawn():
    groups = [IntervalGroup("R0", "-", [None]), IntervalGroup("R1", "+0.5", [(0.5, None, None)])]
    root = read_svg(interval_plot(groups, [""], "unknown", "ΔXAUC"))
    assert len(list(root.iter("circle"))) == 1
    assert len(whiskers(root)) == 0

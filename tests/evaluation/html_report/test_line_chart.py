import numpy as np
import pytest

from tests.evaluation.html_report.svg_reader import place_of, read_svg, texts
from tf_e2egrec.evaluation.html_report.line_chart import Line, line_chart


def points(root):
    """Of every polyline, [n, 2]."""
    return [
        np.array([list(map(float, pair.split(","))) for pair in one.get("points").split()])
        for one in root.iter("polyline")
    ]


def test_points_lie_where_the_axes_say():
    x, y = [0, 100, 250, 400], [0.6, 0.62, 0.7, 0.65]
    root = read_svg(line_chart([Line("AUC", x, y)], "AUC by step", "step", "AUC", whole_x=True))
    (drawn,) = points(root)
    np.testing.assert_allclose(np.polyval(np.polyfit(x, drawn[:, 0], 1), x), drawn[:, 0], atol=0.1)
    np.testing.assert_allclose(np.polyval(np.polyfit(y, drawn[:, 1], 1), y), drawn[:, 1], atol=0.1)
    assert drawn[2, 1] < drawn[0, 1]  # higher values stand higher
    assert place_of(root, "400") == pytest.approx(drawn[3, 0], abs=0.1)
    labels = [one for one in root.iter("text") if one.text == "0.650"]
    assert float(labels[0].get("y")) == pytest.approx(drawn[3, 1] + 4, abs=0.2)
    assert len(list(root.iter("circle"))) == 4 + 1  # and the legend's


def test_a_value_that_is_no_number_leaves_a_gap():
    y = [1.0, 2.0, None, 3.0, float("nan"), 4.0]
    root = read_svg(line_chart([Line("", range(6), y)], "loss", "epoch", "loss"))
    assert [len(one) for one in points(root)] == [2]
    assert len(list(root.iter("circle"))) == 4


def test_two_seeds_share_a_legend_and_styles_differ():
    lines = [
        Line("validation", [1, 2], [1, 2], 0),
        Line("validation", [1, 2], [2, 3], 0),
        Line("a < b", [1, 2], [3, 4], 1),
    ]
    root = read_svg(line_chart(lines, "two & two", "epoch", "loss"))
    assert texts(root).count("validation") == 1
    assert "a < b" in texts(root)
    assert [one.get("stroke-dasharray") for one in root.iter("polyline")] == [None, None, "6 3"]
    assert {one.get("class") for one in root.iter("g")} == {"s0", "s1"}


@pytest.mark.parametrize("lines", [[], [Line("one epoch", [1], [0.5])], [Line("same", [1, 2], [0.5, 0.5])]])
def test_few_or_equal_points(lines):
    root = read_svg(line_chart(lines, "chart", "epoch", "AUC", whole_x=True))
    assert "epoch" in texts(root)


def test_long_lines_have_no_markers():
    root = read_svg(line_chart([Line("", range(200), range(200))], "chart", "step", "weight"))
    assert not list(root.iter("circle"))
    assert len(points(root)[0]) == 200


def test_the_diagonal_is_where_both_axes_agree():
    line = Line("", [0.1, 0.2, 0.4], [0.1, 0.2, 0.4])
    root = read_svg(line_chart([line], "calibration", "predicted", "observed", diagonal=True))
    (zero,) = [one for one in root.iter("line") if one.get("class") == "zero"]
    ends = np.array([[float(zero.get(f"{axis}{end}")) for axis in "xy"] for end in (1, 2)])
    (drawn,) = points(root)
    slope = np.polyfit(ends[:, 0], ends[:, 1], 1)
    np.testing.assert_allclose(np.polyval(slope, drawn[:, 0]), drawn[:, 1], atol=0.2)
    assert abs(slope[0]) == pytest.approx(1, abs=0.01)  # a square


def test_charts_of_one_range_agree():
    drawn = []
    for y in ([0.5, 0.6], [0.8, 0.9]):
        chart = line_chart([Line("", [1, 2], y)], "c", "epoch", "AUC", x_range=(1, 4), y_range=(0.5, 0.9))
        drawn.append(points(read_svg(chart))[0])
    assert drawn[0][0, 0] == drawn[1][0, 0]
    assert (drawn[0][0] - drawn[0][1])[1] == pytest.approx((drawn[1][0] - drawn[1][1])[1], abs=0.2)
    assert drawn[0][:, 1].min() > drawn[1][:, 1].max()

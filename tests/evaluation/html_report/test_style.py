import re

import pytest

from tf_e2egrec.evaluation.html_report.style import DARK, LIGHT, STYLES, style_sheet


def luminance(colour):
    """WCAG 2: relative luminance of #rrggbb."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrasts(colours):
    for text in ("ink", "faint", "link"):
        for ground in ("paper", "panel"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for style in range(STYLES):
        assert contrast(colours[f"s{style}"], colours["paper"]) >= 3, style


def test_the_style_sheet_is_whole():
    text = style_sheet()
    assert text.count("{") == text.count("}")
    assert set(LIGHT) == set(DARK)
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= set(LIGHT)
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"url\(|@import|<", text)

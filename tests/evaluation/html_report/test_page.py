import json
import re
from html.parser import HTMLParser

import pytest

from tests.evaluation.html_report.svg_reader import read_svg
from tests.evaluation.html_report.toy_report import DESCRIPTION, MODELS, toy_report
from tf_e2egrec.evaluation.comparison import regenerate
from tf_e2egrec.evaluation.html_report.page import comparison_page
from tf_e2egrec.evaluation.html_report.style import style_sheet

VOID = {"meta", "link", "br", "col"}
SECTIONS = (
    "comparison", "differences", "days", "learning", "weights", "calibration", "slices", "stay", "ablations", "tuning", "leaks",
    "costs", "configuration",
)  # fmt: skip
TAGS = {
    "html", "head", "body", "meta", "link", "title", "style", "header", "nav", "main", "section", "h1", "h2", "p", "ul", "li", "a",
    "dl", "dt", "dd", "details", "summary", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "figure",
    "figcaption", "pre", "code", "svg", "g", "text", "line", "polyline", "path", "circle",
}  # fmt: skip
LATER_KEYS = ("curves", "calibration", "configuration", "slices", "stay_baselines")


class Page(HTMLParser):
    """A document whose every tag is closed where it should be."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts, self.sections = [], [], {}, {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag == "section":
            self.sections[dict(attributes)["id"]] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in {"line", "polyline", "path", "circle"}
        self.elements.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data
        if "section" in self.open:
            self.sections[list(self.sections)[-1]] += data

    def of(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def report():
    return toy_report()


@pytest.fixture(scope="module")
def text(report):
    return comparison_page(report)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_well_formed_and_of_known_tags_alone(text, page):
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert {tag for tag, _, _ in page.elements} == TAGS
    assert page.texts["title"] == "Comparison on toy <i>, regime cross-domain, rolling, 2 seeds"


def test_nothing_comes_from_outside(text, page):
    for tag, attributes, _ in page.elements:
        for name in attributes:
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "srcset", "action", "xlink:href", "style"}, (tag, name)
        if "href" in attributes:
            assert attributes["href"].startswith("#") or attributes == {"rel": "icon", "href": "data:,"}
    policy = [one["content"] for one in page.of("meta") if one.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert "http" not in text.replace("http-equiv", "").replace("https://example.org", "")
    assert page.texts["style"] == style_sheet()


def test_names_are_text_wherever_they_stand(text, page):
    assert "<b>" not in text
    assert "toy <i>" in page.texts["h1"]
    name = MODELS[2]
    for tag in ("th", "td", "dd", "text", "span"):
        assert name in page.texts[tag], tag
    assert any(name in one["aria-label"] for one in page.of("svg"))
    assert page.texts["code"] == DESCRIPTION


def test_every_section_is_there_and_linked(page):
    assert tuple(page.sections) == SECTIONS
    assert [one["href"] for one in page.of("a")] == [f"#{name}" for name in SECTIONS]
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for one in page.of("section"):
        assert one["aria-labelledby"] in ids


def test_accessible(page):
    names = {one.get("name"): one.get("content") for one in page.of("meta")}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert {"charset": "utf-8"} in page.of("meta")
    for one in page.of("svg"):
        assert one["role"] == "img"
        assert len(one["aria-label"]) > 20
    assert all(one.get("scope") in ("col", "row") for one in page.of("th"))
    for tag, attributes, above in page.elements:
        if tag == "table":
            assert above[-1] == "div"
        if attributes.get("class") == "scroll":
            assert (attributes["tabindex"], attributes["role"]) == ("0", "region")
            assert attributes["aria-label"]
    assert len(page.of("h1")) == len(page.of("title")) == 1


def test_every_drawing_is_whole(text):
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    for one in drawings:
        read_svg(one)
    # 2 differences, 1 by day, 5 models by AUC and by ranking loss, 2 with weights, 5 calibrations, 2 slices, 1 stay baseline
    assert len(drawings) == 2 + 1 + 2 * 5 + 2 + 5 + 2 + 1


def test_the_figures_are_those_of_the_report(report, page):
    overall = report["differences"]["overall"]["R1"]["auc"]
    said = f"{overall['difference']:+.4f} [{overall['low']:+.4f}, {overall['high']:+.4f}]"
    assert said in page.sections["differences"]
    assert said in page.texts["li"]
    for other in ("R0", "R1"):
        for metric in ("auc", "gauc"):
            of_day = report["differences"]["days"]["2024-05-02"][other][metric]
            assert f"[{of_day['low']:+.4f}, {of_day['high']:+.4f}]" in page.sections["days"]
    assert f"{report['calibration']['R5']['ece']['mean']:.4f}" in page.sections["calibration"]
    assert "AUC gain of R5 by day" in page.sections["days"]
    assert "0.2500" in page.sections["weights"]
    said = " ".join(one["aria-label"] for one in page.of("svg"))
    assert "AUC of R0 by epoch. validation: from 0.6100 to 0.6600" in said
    assert "training: from 0.6000 to 0.8000" in said
    assert f"what {MODELS[2]} is" in page.sections["ablations"]
    assert "1,234" in page.sections["leaks"]
    assert "with 3 runs side by side" in page.sections["costs"]
    assert "GPU" not in page.sections["costs"].partition("costs, means")[2].partition("R0")[0]
    assert "Nothing was tuned." in page.sections["tuning"]
    assert "What a rolling model learns between the test days is not drawn." in page.sections["learning"]
    best = max(report["models"], key=lambda name: report["models"][name]["overall"]["auc"]["mean"])
    first = page.sections["ablations"].partition("R5 - it, AUC")[2]
    assert first.startswith(best)


def test_tuning_is_shown(report):
    tried = [{"settings": {"training.epochs": 3}, "valid_auc": 0.51239}]
    tuning = {
        "seed": 0,
        "keys": ["training.epochs"],
        "models": {"R0": {"chosen": tried[0]["settings"], "tried": tried}},
    }
    assert "0.5124" in Page(comparison_page(report | {"tuning": tuning})).sections["tuning"]


@pytest.mark.parametrize("absent", [*((key,) for key in LATER_KEYS), LATER_KEYS])
def test_a_report_of_an_earlier_version(report, absent):
    older = {key: value for key, value in report.items() if key not in absent}
    older["models"] = {
        model: {key: value for key, value in one.items() if key != "day_gains"}
        for model, one in report["models"].items()
    }
    page = Page(comparison_page(older))
    assert tuple(page.sections) == SECTIONS
    named = {"curves": "learning", "stay_baselines": "stay"}
    for key in absent:
        assert "an earlier version wrote it" in page.sections[named.get(key, key)]


def test_one_model_of_one_seed_on_one_day():
    page = Page(comparison_page(toy_report(models=("R3",), days=("all",), seeds=1)))
    assert tuple(page.sections) == SECTIONS
    assert "R3 stands alone" in page.texts["p"]
    assert "of one day" in page.sections["days"]
    assert "GradNorm balanced none of these models." in page.sections["weights"]


def test_models_without_records(report):
    nothing = {model: {"0": {"history": {}, "weights": {}}} for model in report["models"]}
    page = Page(comparison_page(report | {"curves": nothing, "leak_checks": [], "tuning": {}}))
    assert "No training left a history." in page.sections["learning"]
    assert "Nothing was checked." in page.sections["leaks"]
    history_alone = {
        model: {"0": {"history": {"epoch": [1], "auc": [0.5]}, "weights": {}}} for model in ("R0", "R3")
    }
    page = Page(comparison_page(report | {"curves": history_alone}))
    assert "AUC of R0 by epoch" in " ".join(one["aria-label"] for one in page.of("svg"))


def test_many_days_are_tables_alone():
    many = toy_report(models=("R0", "R5"), days=tuple(f"2024-05-{day:02}" for day in range(1, 17)), seeds=1)
    page = Page(comparison_page(many))
    assert "2024-05-16" in page.sections["days"]
    assert "AUC gain of R5 by day" not in page.sections["days"]


def test_the_page_comes_from_the_json_alone(report, text, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(report))
    regenerate(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    assert first.decode() == text
    (tmp_path / "report.html").unlink()
    regenerate(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first

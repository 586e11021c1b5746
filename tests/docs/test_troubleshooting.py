"""docs/troubleshooting.md holds every sentence of the program."""

import ast
import re

from tests.docs.error_sentences import PAGE, ROOT, page, sentences

TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_page_is_what_the_source_says():
    """Write it again with `python -m tests.docs.error_sentences`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_refusal_is_findable():
    """By another way than the page is made: the constant pieces of whatever is raised are on it."""
    looked_at = 0
    for path in [
        path
        for package in ("tf_e2egrec", "beam_pipelines", "serving")
        for path in (ROOT / package).rglob("*.py")
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "E2EGRecError"
            ):
                continue
            for part in ast.walk(node.args[0]):
                piece = (
                    " ".join(part.value.split())
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    else ""
                )
                if len(piece) >= 15 and not isinstance(part, ast.FormattedValue):
                    looked_at += 1
                    assert piece in TEXT, (
                        f"{path.relative_to(ROOT)}: {piece!r} is not in docs/troubleshooting.md"
                    )
    assert looked_at > 200


def test_a_sentence_that_was_met_is_found():
    for met in (
        "has no column `movie` (named by `interactions.0.item`); it has user_id",
        "holds no trained model; run `e2egrec train` first",
        "set `time.unit: ms`",
        "there is no model `R9`; choose from R0",
    ):
        words = [re.sub(r"`[^`]*`", "", part).strip() for part in met.split(";")]
        assert any(
            word and word in re.sub(r"`[^`]*`", "", one.text) for one in sentences() for word in words
        ), met

"""Behind every row of docs/faults.md stands a test."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.faults.warm_process import ROOT

TEXT = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in TEXT.partition("## What happens")[2].partition("## A new day")[0].splitlines()
    if line.startswith("|") and not line.startswith(("| case", "|---"))
]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py::[^`]+)`", TEXT)))


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test() -> None:
    assert len(ROWS) >= 30
    for row in ROWS:
        assert len(row) == 3 and "::test_" in row[2], row


@pytest.mark.parametrize("name", NAMED)
def test_the_named_test_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    function, _, case = test.rstrip("]").partition("[")
    assert function in functions(ROOT / file)
    assert f'"{case}"' in (ROOT / file).read_text() or not case, f"{file} has no case `{case}`"


def test_every_damage_stands_in_the_table() -> None:
    from tests.faults.test_damaged_files import CASES, SLOW

    named = {name.partition("[")[2].rstrip("]") for name in NAMED}
    assert {case for case in CASES if case not in SLOW} <= named | {"the subgraphs' manifest cut off"}
    assert len(CASES) >= 20

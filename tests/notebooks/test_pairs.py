"""Each notebook is paired with a plain script, its source; `make notebooks` runs the notebooks."""

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
NAMES = [script.stem for script in SCRIPTS]


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_they_are_numbered_and_in_pairs():
    assert [name.split("_")[0] for name in NAMES] == [str(n + 1) for n in range(len(NAMES))]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_the_pair_agrees(script):
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    assert cells(notebook) == cells(jupytext.read(script)), (
        f"{script.name} was changed, its notebook was not (or the other way round): run `jupytext --update --to ipynb notebooks/*.py`"
    )
    assert not any(cell.get("outputs") for cell in notebook.cells)  # figures of one machine, soon out of date


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_it_asks_one_question_and_runs_as_a_script_too(script):
    notebook = jupytext.read(script)
    title = notebook.cells[0].source.split("\n")[0]
    assert title.startswith(f"# {script.stem.split('_')[0]}. ") and title.endswith("?")
    for kind, source in cells(notebook):
        if kind == "code":
            ast.parse(source)  # no `!` and no `%`

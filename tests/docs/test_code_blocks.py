"""Python in the pages compiles and names what exists; YAML in them is YAML. client.md and runbook.md are run by tests of their own."""

import ast
import importlib

import pytest
import yaml

from tests.docs.pages import PAGES, blocks, name_of

PYTHON = [block for page in PAGES for block in blocks(page, "python", "py")]
YAML = [block for page in PAGES for block in blocks(page, "yaml")]


def identity(block):
    return f"{block.page}-{block.text.strip().splitlines()[0][:30]}"


def imported_names(tree):
    """Local name -> the object that an import of the block binds to it."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = importlib.import_module(alias.name)
                found[alias.asname or alias.name.split(".")[0]] = (
                    module if alias.asname else importlib.import_module(alias.name.split(".")[0])
                )
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def chain(node):
    """The dotted name of an attribute access, outermost first, or nothing where it does not start at a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


@pytest.mark.parametrize("block", PYTHON, ids=identity)
def test_python_names_what_exists(block):
    tree = ast.parse(block.text)
    known = imported_names(tree)
    for node in ast.walk(tree):
        name = chain(node) if isinstance(node, ast.Attribute) else []
        if name and name[0] in known:
            value = known[name[0]]
            for part in name[1:]:
                assert hasattr(value, part), f"{block.page}: {'.'.join(name)} does not exist"
                value = getattr(value, part)


@pytest.mark.parametrize("block", YAML, ids=identity)
def test_yaml_is_yaml(block):
    documents = list(yaml.safe_load_all(block.text))
    assert documents and all(documents)


def test_there_is_something_to_look_at():
    assert len(PYTHON) >= 5
    assert len(YAML) >= 1
    assert {name_of(page) for page in PAGES} >= {"README.md", "docs/troubleshooting.md", "docs/concepts.md"}

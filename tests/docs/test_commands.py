"""Commands in the documents exist, with the options and the models that are shown; test_documented_commands.py runs them."""

import importlib.util
import re

import pytest

from tests.docs.command_parser import options_of, parse
from tests.docs.documented_command import documented_commands
from tests.docs.pages import PAGES, ROOT, name_of, spans, words
from tf_e2egrec.stages.compared_model import ComparedModel, split_models

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMMANDS = documented_commands()


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_parses(command):
    found = [one for one in words(command.text) if not re.match(r"[A-Z_]+=", one)]
    if found[0] == "e2egrec":
        try:
            parse(found[1:])
        except Exception as error:
            pytest.fail(f"{command}: {error}")
        if "--models" in found and found[1] != "recommend":
            for name in split_models(found[found.index("--models") + 1]):
                ComparedModel.parse(name)
    elif found[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(found[2]), f"{command}: there is no module {found[2]}"
    elif found[0] == "make":
        for target in found[1:]:
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{command}: there is no such target"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_the_prose_exist(page):
    """Prose leaves arguments out: the command and its options have to exist."""
    for span in spans(page):
        if span.startswith("e2egrec ") and span.split()[1].isalpha():
            options = options_of(span.split()[1:])
            assert options, f"{name_of(page)}: there is no command `{span}`"
            for option in re.findall(r"--[a-z][\w-]*", span):
                assert option in options, f"{name_of(page)}: `{span}` has no option {option}"
        elif span.startswith("python -m "):
            assert importlib.util.find_spec(span.split()[2]), f"{name_of(page)}: `{span}`"


def test_every_kind_of_document_has_some():
    documents = {one.document for one in COMMANDS}
    assert {"README.md", "docs/client.md", "configs/globo.yaml", "--help"} <= documents
    assert any(name.startswith("notebooks/") for name in documents)
    assert len([one for one in COMMANDS if one.in_block]) > 80
    assert len([one for one in COMMANDS if not one.in_block]) > 50

"""`--help` teaches: every command has an example that parses, every option says what it is, figures have units."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from tests.cli.job import succeed
from tests.docs.command_parser import leaves, parse

COMMANDS = dict(leaves())
NAMES = [" ".join(words) for words in COMMANDS]
UNITS = {"seconds", "timeout", "wait", "config_poll", "max_p99", "days"}
SAYS_UNIT = re.compile(r"[Ss]econds?|ms|[Dd]ays?|How long")


@pytest.mark.parametrize("words", COMMANDS, ids=NAMES)
def test_a_command_has_a_sentence_and_an_example(words):
    text = COMMANDS[words].help
    assert text.split("\n")[0].strip().endswith(".") or "." in text
    examples = re.findall(r"^\s*Example: (.+)$", text, re.MULTILINE)
    assert examples, f"{' '.join(words)} has no example"
    for example in examples:
        for command in example.split(" && "):
            found = shlex.split(command)
            assert found[0] == "e2egrec"
            parse(found[1:])
    assert any(shlex.split(example)[1 : 1 + len(words)] == list(words) for example in examples)


@pytest.mark.parametrize("words", COMMANDS, ids=NAMES)
def test_every_option_says_what_it_is(words):
    for one in COMMANDS[words].params:
        if one.name == "help":
            continue
        assert one.help, f"{' '.join(words)}: {one.name} has no help"
        assert one.help.rstrip(" ").endswith((".", "`")), f"{' '.join(words)}: {one.name}: {one.help}"
        if one.name in UNITS:
            assert SAYS_UNIT.search(one.help + one.name), f"{' '.join(words)}: {one.name} has no unit"


@pytest.mark.parametrize("words", COMMANDS, ids=NAMES)
def test_defaults_are_shown(words):
    """Where a default is a value, the help shows it; where it is made up at run time, the text says so."""
    for one in COMMANDS[words].params:
        if isinstance(one, typer.core.TyperOption) and one.default not in (None, False, True, "", ()):
            assert one.show_default, f"{' '.join(words)}: {one.name}"


def test_the_page_names_every_command():
    page = (Path(__file__).parents[2] / "docs/command_line.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}`" not in page]


def test_what_is_printed():
    said = succeed("loadtest", "--help").out
    assert "Example: e2egrec loadtest runs/demo/run/export/R5 --rate 200" in re.sub(r"\s+", " ", said)
    assert "[default: 100.0]" in said

"""Descriptions and command lines of nonsense: an answer in words, never a traceback.

Cases are a function of (seed, number). What was found once stands in FOUND.
"""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from tests.faults.share import share_of
from tests.faults.tally import BAD_INPUTS, Tally
from tests.toy_data import DESCRIPTION
from tf_e2egrec.cli.main import app
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError

SAMPLE, WHOLE = 400, 100_000
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 10**30, float("nan"), float("inf"), "", " ", "a", "1d", "-1d", "0d", "all",
    "once", "é\u202e", "\x00", "a" * 2_000, "2024-01-03", "0000-00-00", "9999-12-31", "99999-01-01", [], [[]], [None], ["a", "a"],
    {}, {"a": 1}, {1: 2}, {None: None}, [{}], [1, "a", None], "[a-z", "../../etc", "gs://x", "{}", "!!python/object:os.system x",
]  # fmt: skip
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
ODD_TEXTS = [
    "",
    "\x00",
    "- a",
    "{",
    "a: [",
    "&a [*a]",
    "a: &a {b: *a}",
    "!!python/object/apply:os.system [ls]",
    "\t",
    "? ",
    "---\n---",
]
FOUND = {"descriptions": [70], "command lines": []}  # numbers of cases that once failed


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside nested mappings and lists."""
    found = [path] if path else []
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in entries:
        found += places(part, (*path, key))
    return found


WHOLE_DESCRIPTION = yaml.safe_load(DESCRIPTION)
KEYS = sorted({key for path in places(WHOLE_DESCRIPTION) for key in path if isinstance(key, str)})


def odd_description(number: int) -> str:
    """A valid description with one to three changes, or a text that is none."""
    chance = random.Random(number)
    if number % 10 == 0:
        text = chance.choice(ODD_TEXTS) + chance.choice(["", DESCRIPTION])
        place = chance.randrange(len(text) + 1)
        return text[:place] + chance.choice([*ODD_TEXTS, ":", "\n ", "'"]) + text[place:]
    content = copy.deepcopy(WHOLE_DESCRIPTION)
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(places(content))
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        what = chance.randrange(5)
        if what == 0:
            del parent[path[-1]]
        elif what == 1 and isinstance(parent, dict):
            parent[chance.choice([*KEYS, "rowz", "", 7])] = parent.pop(path[-1])
        elif what == 2:
            parent[path[-1]] = [parent[path[-1]]] * chance.choice([0, 1, 2, 40])
        else:
            parent[path[-1]] = copy.deepcopy(chance.choice(ODD_VALUES))
        if not places(content):
            break
    return str(yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True))


def check_description(number: int) -> None:
    try:
        parse_description(odd_description(number), "odd.yaml")
    except E2EGRecError as error:
        assert "\n" not in str(error), (number, str(error))
        assert "odd.yaml" in str(error) or "`" in str(error), (number, str(error))
    except Exception as error:
        raise AssertionError(
            f"case {number}: {type(error).__name__}: {error}\n{odd_description(number)}"
        ) from error


def stubbed() -> click.Command:
    """The command, whose parts only take their arguments."""
    command = typer.main.get_command(app)
    waiting = [command]
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "commands", {}).values()
        if not getattr(one, "commands", {}):
            one.callback = lambda **arguments: None
    return command


COMMAND = stubbed()


def words(command: Any) -> list[str]:
    """Names of commands and options."""
    found = []
    for name, one in getattr(command, "commands", {}).items():
        found += [name, *words(one)]
    for parameter in command.params:
        found += parameter.opts + parameter.secondary_opts
    return found


WORDS = sorted(set(words(COMMAND)) - {"--install-completion", "--show-completion"})
ARGUMENTS = [
    "",
    "-",
    "--",
    "-1",
    "0",
    "1",
    "1e999",
    "nan",
    "x.yaml",
    "/",
    "a b",
    "é",
    "\x1b[0m",
    "2026-01-05",
    "--=",
    "-x",
    "a" * 500,
    "127.0.0.1:1",
]


def check_command_line(number: int) -> None:
    chance = random.Random(number)
    line = [chance.choice(WORDS if chance.random() < 0.6 else ARGUMENTS) for _ in range(chance.randint(0, 7))]
    if chance.random() < 0.7:
        line.insert(0, chance.choice(sorted(getattr(COMMAND, "commands", {}))))
    try:
        COMMAND.main(line, prog_name="e2egrec", standalone_mode=False)
    except (click.ClickException, click.exceptions.Exit, E2EGRecError, SystemExit):
        pass
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("click", "typer"):
            raise AssertionError(f"case {number}: {line}: {type(error).__name__}: {error}") from error


def run(check: Callable[[int], None], what: str, count: int, tally: Tally) -> None:
    for number in [*FOUND[what], *range(count)]:
        check(number)
        tally.count(BAD_INPUTS)


def test_descriptions(tally: Tally) -> None:
    run(check_description, "descriptions", SAMPLE, tally)


def test_command_lines(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    run(check_command_line, "command lines", SAMPLE, tally)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("part", range(4))
def test_many_descriptions(tally: Tally, part: int) -> None:
    for number in range(part, share_of(WHOLE), 4):
        check_description(number)
        tally.count(BAD_INPUTS)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_many_command_lines(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(share_of(WHOLE)):
        check_command_line(number)
        tally.count(BAD_INPUTS)
        if number % 1_000 == 0:
            capsys.readouterr()


def test_the_unchanged_description_is_valid(tmp_path: Path) -> None:
    assert parse_description(yaml.safe_dump(WHOLE_DESCRIPTION), "toy.yaml").name == "toy"

"""Commands in the pages exist, with the options that are shown; those of the README are run."""

import importlib.util
import re

import pytest

from serving.server_command import start_server
from tests.cli.job import finished_job, small_data, succeed
from tests.docs.command_parser import options_of, parse
from tests.docs.pages import PAGES, ROOT, commands, name_of, spans, words

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page):
    for command in commands(page):
        found = words(command)
        if found[0] == "e2egrec":
            try:
                parse(found[1:])
            except Exception as error:
                pytest.fail(f"{name_of(page)}: `{command}`: {error}")
        elif found[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(found[2]), f"{name_of(page)}: there is no module {found[2]}"
        elif found[0] == "make":
            for target in found[1:]:
                assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{name_of(page)}: make {target}"


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


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """From what the README says to what is there."""
    base = tmp_path_factory.getbasetemp()
    data, run = small_data(base), finished_job(base)[0]
    config = tmp_path_factory.mktemp("readme") / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "R5" base_path: "{run}/export/R5" model_platform: "tensorflow"\n'
        'model_version_policy { specific { versions: 1 } } version_labels { key: "stable" value: 1 } } }\n'
    )
    with start_server(model_config_file=config, port=0, kind="development") as server:
        yield {
            "DATASET.yaml": str(data),
            "--seeds 3": "--seeds 1",
            "MODELS.config": str(config),
            "HOST:8500": server.target,
            "--min-auc 0.6": "--min-auc 0.3",  # a log of a few thousand rows
            "--top 100": "--top 20",
            "--rate 100 --seconds 30": "--rate 20 --seconds 1",
            "--recent 5,3": f"--recent 5,3 --target {server.target}",
            "RUN_DIR": str(run),
        }


def translated(command, told):
    for said, meant in told.items():
        command = command.replace(said, meant)
    return command


def test_the_commands_of_the_readme_run(told):
    ran = set()
    for command in commands(ROOT / "README.md"):
        name = words(command)[1] if command.startswith("e2egrec ") else ""
        # `serve` would not end (the fixture serves), data sets of `configs/` are not here.
        if name in ("", "serve", "recommend") or "configs/" in command:
            continue
        succeed(*words(translated(command, told))[1:])
        ran.add(name)
    assert ran >= {"run", "predict", "export", "rollout", "loadtest", "candidates"}

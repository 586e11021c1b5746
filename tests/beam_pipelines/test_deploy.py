"""Deployment files agree with the code they deploy."""

import argparse
import configparser
import json
import re
from pathlib import Path

import apache_beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines import job, refresh, subgraphs, swing
from beam_pipelines.run import pipeline_options

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "beam_pipelines" / "deploy"
FLEX = DEPLOY / "flex_template"


class _SeenError(Exception):
    """Everything was declared."""


def flags(module, monkeypatch):
    """The flags that a stage's `main` declares."""
    found = set()

    def keep(self, *names, **_):
        found.update(name.removeprefix("--") for name in names)

    def stop(self, *_):
        raise _SeenError

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "add_argument", keep)
        patch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
        with pytest.raises(_SeenError):
            module.main([])
    return found


def test_every_parameter_of_the_template_is_an_option(monkeypatch):
    metadata = json.loads((FLEX / "metadata.json").read_text())
    own = {name for module in (job, swing, subgraphs, refresh) for name in flags(module, monkeypatch)}
    options = set(PipelineOptions().get_all_options())
    names = [parameter["name"] for parameter in metadata["parameters"]]
    assert len(set(names)) == len(names)
    assert set(names) <= own | options
    assert {"stage", "input", "output", "graph", "data"} <= set(names)
    required = {parameter["name"] for parameter in metadata["parameters"] if not parameter.get("isOptional")}
    assert required == {"stage", "input", "output"}
    for parameter in metadata["parameters"]:
        assert parameter["label"] and parameter["helpText"]
        for regex in parameter.get("regexes", []):
            re.compile(regex)
    (stages,) = next(one["regexes"] for one in metadata["parameters"] if one["name"] == "stage")
    assert stages.split("|") == list(job.STAGES)


def test_the_image_spec_holds_the_metadata():
    spec = json.loads((FLEX / "image_spec.json").read_text())
    assert spec["metadata"] == json.loads((FLEX / "metadata.json").read_text())
    assert spec["sdkInfo"] == {"language": "PYTHON"}


def test_images_copy_what_exists_and_have_this_version_of_beam():
    for file in (DEPLOY / "Dockerfile", FLEX / "Dockerfile"):
        text = file.read_text()
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source
        versions = re.findall(r"(?:BEAM_VERSION=|apache-beam\[gcp\]==)([\d.]+)", text)
        assert versions == [apache_beam.__version__]
    assert (ROOT / "beam_pipelines" / "job.py").exists()


def test_workers_get_versions_that_the_project_allows():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    allowed = {line.replace(" ", "") for line in config["options"]["install_requires"].split("\n")}
    lines = [
        line for line in (DEPLOY / "requirements.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert lines
    assert set(lines) <= allowed


def test_one_entry_point_runs_every_stage(tmp_path, capsys):
    for stage in job.STAGES:
        arguments = ["--stage", stage, "--input", str(tmp_path / "no.yaml"), "--output", str(tmp_path)]
        assert job.main([*arguments, "--graph", str(tmp_path)]) == 2
        assert "no.yaml does not exist" in capsys.readouterr().err


def test_documented_options_exist():
    """Every `--option` in the examples of docs/runners.md is one of ours or of Beam's."""
    text = (ROOT / "docs" / "runners.md").read_text()
    named = {
        name
        for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)
        for name in re.findall(r"--([a-z_]+)[= ]", block)
    }
    known = set(pipeline_options().get_all_options()) | {
        "stage", "input", "output", "graph", "data", "out", "beam", "json", "quick", "force",
    }  # fmt: skip
    known |= {"runner"}
    assert named - known - {"build", "image", "metadata", "parameters"} == set()

"""What a release needs: one version, a licence, a citation, issue forms."""

import configparser
import subprocess
import sys

import pytest
import yaml

import tf_e2egrec
from tests.docs.pages import ROOT


def test_there_is_one_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert setup["metadata"]["version"] == tf_e2egrec.__version__ == citation["version"]
    assert setup["metadata"]["license"] == citation["license"]


def test_the_licence_is_the_one_that_is_named():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert any("2511.20564" in str(one) for one in citation["references"])


SCHEMAS = {
    "CITATION.cff": "citation-file-format",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    **{f".github/ISSUE_TEMPLATE/{name}.yml": "github-issue-forms" for name in ("bug", "idea", "result")},
}


@pytest.mark.parametrize("file", SCHEMAS)
def test_files_for_others_are_as_these_read_them(file):
    schema = f"vendor.{SCHEMAS[file]}"
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_contributing_fits_on_one_screen():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 25

"""`--json`: one object on stdout and nothing else; the rest goes to stderr."""

import json

from tests.cli.job import succeed
from tests.evaluation.html_report.toy_report import toy_report


def test_evaluate(job):
    done = succeed("evaluate", job[0], "--json")
    assert json.loads(done.out) == json.loads((job[0] / "evaluation/report.json").read_text())
    assert "is up to date" in done.err


def test_report(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(toy_report()))
    done = succeed("report", tmp_path, "--json")
    assert json.loads(done.out) == toy_report()
    assert done.err == ""
    assert (tmp_path / "report.html").exists()

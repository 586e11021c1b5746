"""What docs/client.md shows is run as it stands, but for addresses and paths."""

import re
from pathlib import Path

import pytest

from serving.server_command import start_server
from tests.cli.job import succeed

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def blocks(language):
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def told(job, tmp_path_factory):
    """From what the page says to what is there: two servers and a run."""
    folder = tmp_path_factory.mktemp("client")
    finder = folder / "R5-candidates"
    succeed("candidates", job[0], "--to", finder, "--top", 20)
    with (
        start_server(job[0] / "export/R5", "R5", port=0, kind="development") as ranking,
        start_server(finder, "R5-candidates", port=0, kind="development") as finding,
    ):
        yield {
            "127.0.0.1:8500": ranking.target,
            "127.0.0.1:8501": finding.target,
            "runs/demo/run": str(job[0]),
            "load.png": str(folder / "load.png"),
        }


def translate(text, told):
    for said, meant in told.items():
        text = text.replace(said, meant)
    return text


def test_python(told, capsys):
    names = {}
    for block in blocks("python"):
        exec(translate(block, told), names)
    out = capsys.readouterr().out
    assert "AVAILABLE" in out
    assert "does not serve this model or version" in out
    assert names["z"].shape[0] == 2


def test_commands(told):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 6
    ran = 0
    for line in lines:
        words = line.split()
        assert words[0] == "e2egrec"
        assert (
            words[1] == "predict"
            or Path(words[2]).name in ("run", "R5", "R5-candidates")
            or words[2] == "--target"
        )
        if words[1] in ("predict", "loadtest"):  # the others were run to have servers at all
            default = () if "8500" in line or words[1] == "loadtest" else ("--target", told["127.0.0.1:8500"])
            succeed(*translate(line, told).split()[1:], *default)
            ran += 1
    assert ran == 3
    assert Path(told["load.png"]).exists()

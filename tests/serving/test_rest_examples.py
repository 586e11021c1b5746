"""The curl lines of docs/serving.md."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from serving.server_command import start_server
from tests.serving.toy_exports import toy_export

DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_are_answered(tmp_path: Path) -> None:
    toy_export(tmp_path / "R5")
    (block,) = [
        one for one in re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "curl" in one
    ]
    position = '"position": [1.0]'
    assert position in block
    block = block.replace(position, f'{position}, "device": [1]')  # which the toy has besides
    with start_server(tmp_path / "R5", "R5", port=0, rest_port=0, kind="development") as server:
        script = block.replace("127.0.0.1:8501", str(server.rest_target)).replace("\ncurl", "\necho\ncurl")
        done = subprocess.run(
            ["bash", "-ec", script], capture_output=True, text=True, check=True, timeout=120
        )
    status, metadata, ranked, embedded = [json.loads(line) for line in done.stdout.splitlines()]
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert "rank_fresh" in metadata["metadata"]["signature_def"]["signature_def"]
    assert {name: len(rows[0]) for name, rows in ranked["outputs"].items()} == {
        "reward": 3, "stay_seconds": 3, "score": 3,
    }  # fmt: skip
    assert [len(z) for z in embedded["predictions"]] == [8, 8]

"""The guides build into a site without a warning."""

import subprocess
import sys

from tests.docs.pages import ROOT


def test_the_site_builds_strictly(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    built = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= built
    assert len(list((tmp_path / "site/files/notebooks").glob("*.ipynb"))) == len(
        list((ROOT / "notebooks").glob("*.ipynb"))
    )

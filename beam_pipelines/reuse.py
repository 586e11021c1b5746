"""Taking files of an older artefact over into a newer one."""

import os
import shutil
from pathlib import Path


def take_over(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link, or a copy where the file system has none.

    No stage ever writes into a finished file, so the two artefacts may share it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

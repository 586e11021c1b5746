"""Where an export is made before it is published, and the removal of what killed ones left."""

import contextlib
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

LEFT_AFTER_SECONDS = 24 * 3600
# Not an integer: no server looks at it. The process is only known where the host is the same.
_NAME = re.compile(r"\.staging-(?P<host>.+)-(?P<process>[0-9]+)-[0-9a-f]{8}")


@contextlib.contextmanager
def export_staging(base: Path) -> Iterator[Path]:
    """Yield a directory below the model's base path, and remove it at the end.

    Directories of exports that were killed are removed, too: those whose process of this machine is gone, and any
    that nothing was written to for a day.

    Args:
      base: the model's base path, made where it is missing.
    """
    base.mkdir(parents=True, exist_ok=True)
    for found in base.glob(".staging-*"):
        if _is_left(found):
            shutil.rmtree(found, ignore_errors=True)
    staging = base / f".staging-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_left(staging: Path) -> bool:
    """Whether nobody works on a staging directory any more."""
    name = _NAME.fullmatch(staging.name)
    if name is not None and name["host"] == _host() and not _is_running(int(name["process"])):
        return True
    try:
        newest = max(one.lstat().st_mtime for one in (staging, *staging.rglob("*")))
    except OSError:  # removed or written to just now
        return False
    return time.time() - newest > LEFT_AFTER_SECONDS


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node()) or "unknown"

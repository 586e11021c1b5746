"""Counts what a process changes in the file system, and strikes before the n-th change.

Python reports every `open`, rename and removal to its audit hooks before it happens, so that the n-th change below a directory
is the same one in every run. What TensorFlow's C++ code does through `gfile` is reported here in the same way. Making a directory that
exists, or whose parent does not, is no change: how often that is tried depends on which of a pipeline's threads is first.
"""

import errno
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "gfile",
    "rpc",
}
_GFILE = ("write_string_to_file", "rename_v2", "delete_file_v2", "recursive_create_dir_v2", "create_dir_v2")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class FileChanges:
    """An audit hook; it stays until the process ends.

    Attributes:
      seen: `event path`, of each change below the directory.
    """

    def __init__(self, directory: str, kind: str = "count", at: int = 0) -> None:
        """Start to count.

        Args:
          directory: changes elsewhere do not count.
          kind: `count`, `kill` (SIGKILL before change number `at`) or an errno's name (every change from number `at` on that needs
            space or a permission raises it).
          at: from 0.
        """
        self.seen: list[str] = []
        self._directory, self._kind, self._at = os.path.realpath(directory), kind, at
        self._made: set[str] = set()
        self._one_at_a_time = threading.Lock()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = _changed_path(event, arguments)
        if path is None or not path.startswith(self._directory):
            return
        with self._one_at_a_time:
            if event != "os.mkdir" or self._makes(path):
                self._strike(event, path)

    def _makes(self, path: str) -> bool:
        """Whether this call makes the directory; another thread may have reported it and not made it yet."""
        if path in self._made or Path(path).exists() or not Path(path).parent.exists():
            return False
        self._made.add(path)
        return True

    def _strike(self, event: str, path: str) -> None:
        place = len(self.seen)
        self.seen.append(f"{event} {os.path.relpath(path, self._directory)}")
        if self._kind == "kill" and place == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        needs_space = event in {"open", "os.mkdir", "os.link", "gfile"}
        if self._kind in errno.errorcode.values() and place >= self._at and needs_space:
            code = getattr(errno, self._kind)
            self._made.discard(path)
            raise OSError(code, os.strerror(code), path)


def _changed_path(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The absolute path that an event is about to change, None for any other event."""
    folder = -1
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & _WRITING:
            return None
    elif event in _CHANGES:
        path = arguments[0]
        descriptors = {"os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.link": 2}
        folder = arguments[descriptors[event]] if event in descriptors else -1
    else:
        return None
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str | os.PathLike):
        return None
    # Removals of a tree name its files relative to a folder's descriptor.
    is_relative = isinstance(folder, int) and folder >= 0
    start = Path(f"/proc/self/fd/{folder}").readlink() if is_relative else Path.cwd()
    return str(start / os.fspath(path))


def report_gfile() -> None:
    """Have TensorFlow's file functions report to the audit hooks, too."""
    from tensorflow.python.lib.io import file_io

    def reporting(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            sys.audit("gfile", os.fspath(path))
            return function(path, *arguments, **named)

        return call

    for name in _GFILE:
        setattr(file_io, name, reporting(getattr(file_io, name)))


def report_reloads(directory: Path) -> None:
    """Have each reconfiguration of a server report as a change below a directory."""
    from serving.rollout.model_admin import ModelAdmin

    original = ModelAdmin.reload

    def reload(self: ModelAdmin, config: Any) -> None:
        sys.audit("rpc", str(directory / "reload"))
        original(self, config)
        sys.audit("rpc", str(directory / "reloaded"))

    ModelAdmin.reload = reload  # type: ignore[method-assign]

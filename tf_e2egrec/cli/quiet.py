"""Keeping other libraries' start-up chatter off the terminal."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType

from tf_e2egrec.cli.console import warn

# What people can do nothing about: a feature of Beam that nothing here uses, batches so small that the progress bar costs as
# much, and that each of several models in one process traces functions of its own.
_NOTICES = ("apitools not found", "Callback method `on_train_batch", "triggered tf.function retracing")


def quieten() -> None:
    """Prepare a process that talks to people: warnings in one line each, TensorFlow's start-up log left out.

    `TF_CPP_MIN_LOG_LEVEL=0` brings TensorFlow's log back.
    """
    wants_everything = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0"
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the client's sentence says what failed
    root = logging.getLogger()
    if not any(isinstance(handler, _Warnings) for handler in root.handlers):
        root.addHandler(_Warnings(logging.WARNING))
    loaded = "tensorflow" in sys.modules or any(isinstance(one, _QuietTensorFlow) for one in sys.meta_path)
    if not wants_everything and not loaded:
        sys.meta_path.insert(0, _QuietTensorFlow())


class _Warnings(logging.Handler):
    """Prints log records from WARNING on, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not any(notice in text for notice in _NOTICES):
            warn(text)


class _QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Imports TensorFlow with the C library's stderr held back: no variable silences what it says while it loads."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find TensorFlow as everyone else does, and wrap its execution."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with _stderr_held_back():
                    execute(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Send file descriptor 2 to a file meanwhile; what it holds is shown only if the block raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

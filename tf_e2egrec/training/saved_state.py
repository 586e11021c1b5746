"""`SavedState`: one checkpoint on disk, with the checksums of its files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tf_e2egrec.dataset.whole_file import write_whole


class SavedState:
    """A checkpoint: TensorFlow's files `ckpt-<number>.*`, other files, and `state-<number>.json`, which vouches for them all.

    Args:
      directory: where the files are.
      number: of steps since the start of the run.

    Attributes:
      path: `state-<number>.json`.
      prefix: what `tf.train.Checkpoint.write` and `read` take.
      content: what was saved beside the weights; empty until `read` or `write`.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        self.path = directory / f"state-{number}.json"
        self.prefix = str(directory / f"ckpt-{number}")
        self.content: dict[str, Any] = {}
        self._checksums: dict[str, str] = {}

    @classmethod
    def found_in(cls, directory: Path) -> list[Self]:
        """Those of a directory, the newest last; whether they are whole, `read` says."""
        names = (path.stem.removeprefix("state-") for path in directory.glob("state-*.json"))
        return [cls(directory, number) for number in sorted(int(name) for name in names if name.isdigit())]

    def files(self) -> list[str]:
        """Names of all its files."""
        return [self.path.name, *self._checksums]

    def write(self, content: dict[str, Any], others: Sequence[str] = ()) -> None:
        """Vouch for the files, all of which are written: from now on the checkpoint counts.

        Args:
          content: JSON, numpy numbers included.
          others: names of files beside TensorFlow's that belong to it.

        Raises:
          OSError: it cannot be written.
        """
        ours = [path.name for path in self.path.parent.glob(f"ckpt-{self.number}.*")]
        self._checksums = {name: _checksum(self.path.with_name(name)) for name in sorted([*ours, *others])}
        text = json.dumps({"content": content, "files": self._checksums}, default=float)
        self.content = json.loads(text)["content"]
        write_whole(self.path, json.dumps({"checksum": _digest(text.encode()), "text": text}) + "\n")

    def read(self) -> str | None:
        """Take `content` from the file, if every checksum holds.

        Returns:
          What is wrong; None where nothing is.
        """
        try:
            written = json.loads(self.path.read_text(encoding="utf-8"))
            if _digest(written["text"].encode()) != written["checksum"]:
                return f"the checksum of {self.path.name} is wrong"
            said = json.loads(written["text"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{self.path.name} cannot be read"
        for name, checksum in said["files"].items():
            path = self.path.with_name(name)
            if not path.is_file():
                return f"{name} is missing"
            if _checksum(path) != checksum:
                return f"the checksum of {name} is wrong"
        self.content, self._checksums = said["content"], said["files"]
        return None


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

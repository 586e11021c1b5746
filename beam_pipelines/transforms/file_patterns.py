"""Input files on any file system that Beam reaches."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from tf_e2egrec.dataset.artefact import fingerprint_of
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.file_source import FileSource
from tf_e2egrec.errors import E2EGRecError

_FINGERPRINT_BYTES = 1 << 20


def match_files(patterns: Sequence[str], data_root: str, key: str) -> list[FileMetadata]:
    """Find the files that paths or globs name.

    Args:
      patterns: paths or globs; relative ones start at `data_root`.
      data_root: a folder of any file system.
      key: the description's key that holds the patterns, for the message.

    Returns:
      Path and size of each file, ordered by path; a file that two patterns name comes once.

    Raises:
      E2EGRecError: no file matches a pattern, or the file system cannot be reached.
    """
    found: dict[str, FileMetadata] = {}
    for pattern in patterns:
        full = absolute_pattern(pattern, data_root)
        try:
            files = FileSystems.match([full])[0].metadata_list
        except (BeamIOError, OSError, ValueError) as error:
            raise E2EGRecError(
                f"`{full}` (named by `{key}`) cannot be reached: {' '.join(str(error).split())}"
            ) from None
        if not files:
            raise E2EGRecError(
                f"no file matches `{full}` (named by `{key}`); check the path and the data folder"
            )
        found.update({one.path: one for one in files})
    return [found[path] for path in sorted(found)]


def absolute_pattern(pattern: str, data_root: str) -> str:
    """`pattern` below `data_root`, unless it is absolute or names a file system (`gs://...`)."""
    if "://" in pattern or PurePath(pattern).is_absolute():
        return pattern
    return FileSystems.join(data_root, pattern)


def open_raw(path: str) -> BinaryIO:
    """Open a file's bytes as they are stored, without unpacking gzip."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def described_sources(description: DatasetDescription) -> list[tuple[str, FileSource]]:
    """Every log and feature table of a description, with the key of its paths (`interactions.0.paths`)."""
    groups: dict[str, Sequence[FileSource]] = {
        "interactions": description.interactions,
        "items": description.items,
        "users": description.users,
    }
    return [
        (f"{group}.{i}.paths", source)
        for group, sources in groups.items()
        for i, source in enumerate(sources)
    ]


def input_fingerprint(description: DatasetDescription) -> str:
    """A hash of the input files: names without folders, sizes, and the first MiB of each.

    Moving a data set changes nothing; a changed byte beyond the first MiB of a file that keeps its size goes
    unnoticed.

    Raises:
      E2EGRecError: no file matches a pattern.
    """
    parts = []
    for key, source in described_sources(description):
        for file in match_files(source.paths, description.data_root, key):
            with open_raw(file.path) as stream:
                start = hashlib.sha256(stream.read(_FINGERPRINT_BYTES)).hexdigest()
            parts.append((key, FileSystems.split(file.path)[1], file.size_in_bytes, start))
    return fingerprint_of(*parts)

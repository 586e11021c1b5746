"""Artefact directories: they appear whole or not at all, and their manifest says what made them."""

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from tf_e2egrec.errors import E2EGRecError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_RETIRED = "staging-old"


class StaleArtefactError(E2EGRecError):
    """An artefact is missing, damaged, or was made from something else: the stage that makes it mends it."""


class Manifest(BaseModel):
    """What an artefact directory holds and what made it.

    Attributes:
      stage: the stage that wrote it (`swing`, `subgraphs`, `train`, `evaluate`, `export`).
      format_version: of the artefact's layout.
      configuration: the part of the description the stage depends on.
      fingerprint: hash of stage, configuration, inputs and upstream: equal fingerprints mean equal artefacts.
      inputs: hash of the input files (names, sizes, first bytes).
      upstream: fingerprint of the artefact this one was made from, if any.
      newest_edge_time: the newest event that reached a graph, `EventBlock.time` units; None without a graph.
      counters: rows read, dropped, capped, written, by name.
      details: anything else a later stage reads.
    """

    model_config = ConfigDict(extra="forbid")

    stage: str
    format_version: int = FORMAT_VERSION
    configuration: dict[str, Any]
    fingerprint: str
    inputs: str
    upstream: str | None = None
    newest_edge_time: int | None = None
    counters: dict[str, int] = {}
    details: dict[str, Any] = {}

    @field_validator("details")
    @classmethod
    def _stays_in_its_directory(cls, details: dict[str, Any]) -> dict[str, Any]:
        """A manifest from elsewhere must not make a stage read, link or overwrite a file beside the artefact."""
        for name in _file_names(details):
            if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
                raise ValueError(f"the file `{name}` is not in the artefact's directory")
        return details


def _file_names(value: Any) -> Iterator[str]:
    """Every text under a key `file` or `files`, however deep."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ("file", "files"):
                yield from (
                    one for one in (part if isinstance(part, list) else [part]) if isinstance(one, str)
                )
            yield from _file_names(part)
    elif isinstance(value, list):
        for part in value:
            yield from _file_names(part)


def fingerprint_of(*parts: object) -> str:
    """SHA-256 (first 16 hex digits) of JSON-able parts; key order does not matter."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json`: the last file a stage writes."""
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(directory: Path, stage: str, made_by: str) -> Manifest:
    """Read the manifest of an upstream artefact.

    Args:
      directory: the artefact directory.
      stage: the stage it must come from.
      made_by: the command that makes it, for the message.

    Raises:
      StaleArtefactError: there is no artefact, it is of another stage, or of another format version.
    """
    path = Path(directory) / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StaleArtefactError(
            f"{directory} holds no finished {stage} output; run `{made_by}` first"
        ) from None
    except (ValidationError, UnicodeDecodeError):
        raise StaleArtefactError(f"{path} is damaged; run `{made_by}` again") from None
    if manifest.stage != stage or manifest.format_version != FORMAT_VERSION:
        raise StaleArtefactError(
            f"{directory} was made by stage `{manifest.stage}` in format {manifest.format_version}, not `{stage}` in format "
            f"{FORMAT_VERSION}; run `{made_by}` again"
        )
    return manifest


def require_match(manifest: Manifest, expected: str, directory: Path, made_by: str) -> None:
    """Refuse an artefact whose fingerprint is not the expected one."""
    if manifest.fingerprint != expected:
        raise StaleArtefactError(
            f"{directory} was made from other data or another configuration (fingerprint {manifest.fingerprint}, expected {expected}); "
            f"run `{made_by}` again, or choose another --out"
        )


@contextlib.contextmanager
def publish(directory: str | Path) -> Iterator[Path]:
    """Yield a staging directory that replaces `directory` when the block ends without an error.

    An older artefact stays readable until the new one is complete. If the block raises, the staging directory
    is removed and the older artefact is left as it was. Staging directories of runs that were killed are
    removed at the next call.
    """
    target = Path(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    restore_directory(target)
    staging = target.parent / f".{target.name}.staging-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    replace_directory(staging, target)


def replace_directory(source: Path, target: Path) -> None:
    """Rename `source` to `target`, removing what stood there; readers never see a mixture.

    Between the two renames nothing stands there. Killed then, `restore_directory` puts the older directory back.
    """
    if target.exists():
        retired = target.parent / f".{target.name}.{_RETIRED}-{uuid.uuid4().hex[:8]}"
        target.replace(retired)
        try:
            source.replace(target)
        except BaseException:
            retired.replace(target)
            raise
        # Renamed before files go: what is called retired is whole.
        rubbish = retired.with_name(retired.name.replace(_RETIRED, "staging-gone"))
        retired.replace(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)
    else:
        source.replace(target)


def restore_directory(target: Path) -> None:
    """Put an older directory back that a replacement, killed between its two renames, had moved aside.

    Whatever else killed commands left beside the target is removed: nobody else may be at work on it.
    """
    left = sorted(target.parent.glob(f".{target.name}.staging-*"))
    for retired in left:
        if retired.name.startswith(f".{target.name}.{_RETIRED}-") and not target.exists():
            retired.replace(target)
    for leftover in left:
        shutil.rmtree(leftover, ignore_errors=True)

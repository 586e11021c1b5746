"""What of an artefact must be the same in every run: all of it but clocks, names of processes and event files."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

_CLOCK = {"seconds", "provenance", "canary"}


def digests(directory: Path, with_counters: bool = True) -> dict[str, str] | None:
    """Digest by relative path of every file that people or later stages see; None where there is no directory.

    Args:
      directory: an artefact.
      with_counters: False leaves those of manifests out: a refresh counts what it computed, and not what it found.
    """
    if not directory.exists():
        return None
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    named = {path.relative_to(directory): path for path in files}
    return {
        str(name): _digest(path, with_counters)
        for name, path in named.items()
        if "tensorboard" not in name.parts
    }


def leftovers(run: Path) -> list[str]:
    """Hidden files and folders: what a killed stage had not finished."""
    return [str(path.relative_to(run)) for path in run.rglob(".*")]


def _digest(path: Path, with_counters: bool) -> str:
    if path.name == "manifest.json":
        manifest = _without_clock(json.loads(path.read_text()))
        if not with_counters:
            del manifest["counters"]
        content = json.dumps(manifest, sort_keys=True).encode()
    elif path.suffix == ".keras":
        content = _keras_file(path)
    elif path.name == "fingerprint.pb":
        content = _fingerprint(path)
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_clock(part) for name, part in value.items() if name not in _CLOCK}
    return [_without_clock(part) for part in value] if isinstance(value, list) else value


def _keras_file(path: Path) -> bytes:
    """Architecture and every weight, bit by bit; not the date, and not HDF5's own layout."""
    import h5py

    parts: list[bytes] = []
    with zipfile.ZipFile(path) as archive:
        # Names of functions and objects count on within a process.
        parts.append(re.sub(rb"\d+", b"0", archive.read("config.json")))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:

            def visit(name: str, found: Any) -> None:
                if isinstance(found, h5py.Dataset):
                    parts.append(name.encode() + np.asarray(found).tobytes())

            weights.visititems(visit)
    return b"".join(parts)


def _fingerprint(path: Path) -> bytes:
    """TensorFlow's checksums of a SavedModel, without the random name that it gives each."""
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

    found = FingerprintDef.FromString(path.read_bytes())
    found.ClearField("uuid")
    return bytes(found.SerializeToString(deterministic=True))

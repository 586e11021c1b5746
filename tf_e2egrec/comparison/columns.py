"""Columns about the test rows of a comparison, kept beside its predictions."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    publish,
    read_manifest,
    require_match,
    write_manifest,
)

Columns = dict[str, np.ndarray]
_FILE, _MADE_BY = "rows.parquet", "e2egrec compare"


def digest_of(rows: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of columns and their names: equal digests mean the same rows in the same order."""
    digest = hashlib.sha256()
    for name in sorted(rows):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(rows[name]).tobytes())
    return digest.hexdigest()


def cached_columns(
    target: Path,
    stage: str,
    fingerprint: str,
    inputs: str,
    rows: Columns,
    make: Callable[[], Columns],
) -> Columns:
    """The columns in `target`, made and published there unless they are up to date.

    Args:
      target: the artefact's directory.
      stage: what its manifest calls itself.
      fingerprint: of all that the columns depend on, the rows included.
      inputs: the hash of the input files, for the manifest.
      rows: `time`, `user`, `item` of the rows, int64 [n]; they are kept beside the columns.
      make: computes the columns, arrays [n].

    Returns:
      The columns, without `rows`.
    """
    found = _read(target, stage, fingerprint)
    if found is not None:
        return {name: values for name, values in found.items() if name not in rows}
    columns = make()
    with publish(target) as staging:
        pq.write_table(pa.table({**rows, **columns}), staging / _FILE)
        manifest = Manifest(
            stage=stage,
            configuration={"columns": list(columns)},
            fingerprint=fingerprint,
            inputs=inputs,
            counters={"rows": len(rows["time"])},
        )
        write_manifest(staging, manifest)
    return columns


def _read(target: Path, stage: str, fingerprint: str) -> Columns | None:
    """What `target` holds; None where it is missing, out of date or damaged."""
    try:
        require_match(read_manifest(target, stage, _MADE_BY), fingerprint, target, _MADE_BY)
        table = pq.read_table(target / _FILE)
    except (StaleArtefactError, OSError, pa.ArrowException):
        return None
    return {name: table.column(name).to_numpy() for name in table.column_names}

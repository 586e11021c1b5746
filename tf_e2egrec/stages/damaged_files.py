"""Which file of a run is damaged: TensorFlow's errors about records and models do not name it."""

import contextlib
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.errors import E2EGRecError

_MEND = "run `e2egrec subgraphs --force`"


def require_whole_files(directory: Path, subgraphs: Manifest, splits: Collection[str]) -> None:
    """Refuse files of records and neighbour tables that are missing or have another size than when they were made.

    Args:
      directory: of the subgraphs stage, RUN_DIR/subgraphs.
      subgraphs: its manifest.
      splits: whose records are wanted; the others may be missing.

    Raises:
      E2EGRecError: the sentence names the first such file.
    """
    files = subgraphs.details.get("files", {})
    groups = [*(files.get(split, []) for split in splits), subgraphs.details.get("tables", [])]
    for entry in (entry for group in groups for entry in group):
        path = directory / entry["file"]
        if not path.is_file():
            raise E2EGRecError(f"{path} is missing; {_MEND}")
        size = path.stat().st_size
        if "bytes" in entry and size != entry["bytes"]:
            raise E2EGRecError(
                f"{path} is damaged: it has {size} bytes, and {entry['bytes']} by the manifest beside it; {_MEND}"
            )


@contextlib.contextmanager
def naming_damaged_records(directory: Path) -> Iterator[None]:
    """Turn TensorFlow's error about a record into a sentence that names the file.

    Args:
      directory: of the subgraphs stage.

    Raises:
      E2EGRecError: inside the block a record's checksum was wrong, or a record was no subgraph, and a file is found that is so.
    """
    try:
        yield
    # UnknownError: what Python raised within a data set. UnicodeDecodeError: TensorFlow quotes a broken record's bytes.
    except (
        tf.errors.DataLossError,
        tf.errors.InvalidArgumentError,
        tf.errors.UnknownError,
        UnicodeDecodeError,
    ) as error:
        for path in sorted(directory.glob("*/*.tfrecord")):
            defect = _defect(path)
            if defect is not None:
                raise E2EGRecError(f"{path} is damaged ({defect}); {_MEND}") from error
        raise


def _defect(path: Path) -> str | None:
    """What is wrong with a file of records; None where nothing is."""
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            if "nodes/_readout.impression_id" not in features:
                return f"record {count} is no subgraph"
            count += 1
    except tf.errors.DataLossError:
        return f"record {count} cannot be read"
    except DecodeError:
        return f"record {count} is no subgraph"
    return None


def load_keras_model(path: Path, mend: str, **options: Any) -> tf.keras.Model:
    """Load a model file.

    Args:
      path: the file.
      mend: the command that makes it again.
      **options: as for `tf.keras.models.load_model`.

    Raises:
      E2EGRecError: it is missing or damaged.
    """
    try:
        return tf.keras.models.load_model(path, **options)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        said = " ".join(str(error).split())[:200]
        raise E2EGRecError(
            f"{path} is damaged or was made by another version ({said}); run `{mend}`"
        ) from error

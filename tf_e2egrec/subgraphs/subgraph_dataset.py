"""The files of subgraph records, and columns of them."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.graph_schema import READOUT


def record_files(directory: Path, split: str) -> list[str]:
    """The TFRecord files of a split, in time order.

    Raises:
      E2EGRecError: there is none.
    """
    files = sorted(str(path) for path in (directory / split).glob("*.tfrecord"))
    if not files:
        raise E2EGRecError(
            f"{directory / split} holds no impressions: the split's dates leave it empty; change `split` in the description, "
            f"then run `e2egrec subgraphs` again"
        )
    return files


def readout_columns(
    files: Sequence[str], columns: dict[str, tf.DType], batch_size: int = 4096
) -> tf.data.Dataset:
    """Only some `_readout` features of the records, batched: name -> [B]; nothing else is parsed."""
    features = {
        f"nodes/{READOUT}.{name}": tf.io.FixedLenFeature([], dtype) for name, dtype in columns.items()
    }
    prefix = f"nodes/{READOUT}."

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, features)
        return {name.removeprefix(prefix): value for name, value in parsed.items()}

    return tf.data.TFRecordDataset(list(files)).batch(batch_size).map(parse, num_parallel_calls=2).prefetch(2)

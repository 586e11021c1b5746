"""`UnigraphFeature`: a feature of a node or edge set that a graph on disk holds."""

import dataclasses
import math
from typing import Literal

import pyarrow as pa

from tf_e2egrec.dataset.ids import MISSING_KEY

Kind = Literal["int", "float", "bytes"]
_VALUE_TYPES = {"int": pa.int64(), "float": pa.float32(), "bytes": pa.binary()}
_MISSING: dict[str, int | float | bytes] = {"int": MISSING_KEY, "float": math.nan, "bytes": b""}


@dataclasses.dataclass(frozen=True)
class UnigraphFeature:
    """Name, kind and number of values.

    Attributes:
      name: within its set.
      kind: which list of a `tf.train.Feature` holds it.
      width: values per node or edge; 1 for scalars.
    """

    name: str
    kind: Kind
    width: int = 1

    @property
    def value_type(self) -> pa.DataType:
        """Arrow type of one value."""
        return _VALUE_TYPES[self.kind]

    @property
    def missing(self) -> list[int | float | bytes]:
        """What stands for a node or edge without this feature: -1, NaN or the empty string."""
        return [_MISSING[self.kind]] * self.width

    def array(self, values: list[int | float | bytes]) -> pa.Array:
        """n * width values as a column of n rows."""
        flat = pa.array(values, self.value_type)
        return flat if self.width == 1 else pa.FixedSizeListArray.from_arrays(flat, self.width)

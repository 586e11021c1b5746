"""`Share`: which parts of each global batch a process of a distributed training reads."""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Share:
    """Consecutive parts of a batch that is split among replicas; by default the whole batch.

    Attributes:
      first: the first of the parts that are read here.
      count: how many, one after the other.
      of: into how many parts a batch is split, of sizes that differ by one at most.

    Example:
      >>> Share(first=1, count=2, of=3).bounds(part=0, rows=7)
      (2, 4)
    """

    first: int = 0
    count: int = 1
    of: int = 1

    @staticmethod
    def of_pipeline(context: "tf.distribute.InputContext") -> "Share":
        """The share of one input pipeline under `tf.distribute`: a part for each of its replicas."""
        count = context.num_replicas_in_sync // context.num_input_pipelines
        return Share(context.input_pipeline_id * count, count, context.num_replicas_in_sync)

    def batches(self, rows: int, batch_size: int) -> int:
        """Batches of an epoch; rows at its end that are fewer than the replicas are left out."""
        whole, rest = divmod(rows, batch_size)
        return whole + int(rest >= self.of)

    def bounds(self, part: int, rows: int) -> tuple[int, int]:
        """Where part `first + part` of a batch of so many rows begins and ends in it."""
        number = self.first + part
        return number * rows // self.of, (number + 1) * rows // self.of

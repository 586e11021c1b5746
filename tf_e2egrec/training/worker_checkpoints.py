"""`WorkerCheckpoints`: `Checkpoints` where several processes train one model."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_e2egrec.training.checkpoints import Checkpoints


class WorkerCheckpoints(Checkpoints):
    """The checkpoints of one worker of `tf.distribute.MultiWorkerMirroredStrategy`, on a disk that all of them see.

    The chief's are the checkpoints. The other workers write theirs at the same steps, because variables that are summed over
    the workers when they are read (metrics) are read by all or by none, and throw them away. After an interruption every
    worker starts from the chief's last checkpoint, so that none is ahead of another.

    Args:
      directory, fingerprint, every, callbacks: as for `Checkpoints`, and the same for all workers.
      is_chief: whether this is worker 0.
      **kwargs: others of `Checkpoints`.

    Example:
      >>> import tempfile
      >>> checkpoints = WorkerCheckpoints(tempfile.mkdtemp(), "version 1", is_chief=False)
      >>> checkpoints.remove()  # they are the chief's
      >>> checkpoints.directory.exists(), checkpoints.start
      (True, (0, 0))
    """

    def __init__(
        self,
        directory: str | Path,
        fingerprint: str,
        every: int = 500,
        callbacks: Sequence[tf.keras.callbacks.Callback] = (),
        is_chief: bool = True,
        **kwargs: Callable[[str], object],
    ) -> None:
        self.is_chief = is_chief
        super().__init__(directory, fingerprint, every, callbacks, **kwargs)

    def remove(self) -> None:
        """See `Checkpoints`; the chief's business."""
        if self.is_chief:
            super().remove()

    def _save(self, epoch: int, step: int) -> None:
        if self.is_chief:
            super()._save(epoch, step)
            return
        with tempfile.TemporaryDirectory() as scratch:
            self._checkpoint().write(str(Path(scratch) / "ckpt"))
        self._last: Any = (epoch, step)

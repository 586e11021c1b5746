"""One process of a distributed `e2egrec train`: `python -m tests.stages.train_process FOLDER DEVICES KILL_AT ARGUMENTS...`.

It writes what it holds in the end to FOLDER. With KILL_AT above 0 it kills itself after so many steps, with no warning to anyone, unless
FOLDER says that it has done so before. DEVICES logical CPU devices are made: that needs a process of its own.
"""

import json
import os
import signal
import sys
from pathlib import Path

import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

# isort: split
import numpy as np
import tensorflow as tf

from tests.cli.job import e2egrec
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages import train

STATE = ("task_weights", "initial_losses", "slots", "steps", "statistics")
CHECKPOINT_STEPS = 3


def killing(progress, after, marker):
    """A progress bar under which the process ends, as on a machine that goes away."""

    class Killing(progress):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            self.steps += 1
            if self.steps == after and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    return Killing


def main():
    folder, devices, kill_at, arguments = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    index = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices
    )
    train._CHECKPOINT_STEPS = CHECKPOINT_STEPS
    if kill_at:
        train.TrainingProgress = killing(train.TrainingProgress, kill_at, folder / "killed")
    save = E2EGRec.save

    def saving(self, *args, **kwargs):
        state = {name: getattr(self.balancer, name).numpy() for name in STATE}
        weights = {f"weight {i}": variable.numpy() for i, variable in enumerate(self.trainable_variables)}
        np.savez(folder / f"process-{index}.npz", **state, **weights)
        return save(self, *args, **kwargs)

    E2EGRec.save = saving
    done = e2egrec(*arguments)
    (folder / f"process-{index}.txt").write_text(done.out + done.err)
    sys.exit(done.code)


if __name__ == "__main__":
    main()

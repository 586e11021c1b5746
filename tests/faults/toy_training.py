"""A training of seconds with everything that a checkpoint keeps: two optimisers, dropout, GradNorm, early stopping."""

import hashlib
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.training.toy_tasks import ToyEmbedding
from tf_e2egrec.dataset.artefact import publish
from tf_e2egrec.training import Checkpoints, GradNorm, RowSparseAdam, epoch_dataset

EPOCHS, STEPS, BATCH = 2, 5, 8


def batches(seed):
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(0, 50, STEPS * BATCH), rng.normal(size=STEPS * BATCH).astype("f4")
    return tf.data.Dataset.from_tensor_slices((ids, labels)).shuffle(100, seed=seed).batch(BATCH)


def train(folder, every=2):
    """Train into FOLDER/model as the train stage does: guarded by checkpoints, published whole."""
    target = Path(folder) / "model"
    tf.keras.utils.set_random_seed(0)
    model = ToyEmbedding(dropout=0.3)
    optimizer = tf.keras.optimizers.Adam(1e-2, jit_compile=False)
    model.compile(optimizer=optimizer, embedding_optimizer=RowSparseAdam(1e-2))
    balance = GradNorm(warmup_steps=12, freeze_after=0.75, freeze_unit="fraction")
    stopping = tf.keras.callbacks.EarlyStopping("val_loss", mode="min", patience=2, restore_best_weights=True)
    checkpoints = Checkpoints(Path(folder) / ".checkpoint", "toy", every, [balance, stopping])
    with checkpoints, publish(target) as staging:
        model.fit(
            epoch_dataset(batches, 3, EPOCHS, checkpoints.start),
            validation_data=batches(0),
            epochs=EPOCHS,
            steps_per_epoch=STEPS,
            verbose=0,
            callbacks=[checkpoints, balance, stopping],
        )
        state = [*model.get_weights(), *model.optimizer.variables, *model.embedding_optimizer.variables]
        digests = [hashlib.sha256(np.asarray(value).tobytes()).hexdigest() for value in state]
        record = {"weights": digests, "history": model.history.history}
        (staging / "record.json").write_text(json.dumps(record, default=float, sort_keys=True))

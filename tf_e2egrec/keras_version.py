"""The check that `tf.keras` is Keras 2."""

import tensorflow as tf


def require_keras_2() -> None:
    """Fail with one sentence where TensorFlow was imported in such a way that `tf.keras` is Keras 3.

    Raises:
      ImportError: `tf.keras` is not the tf_keras package.
    """
    if not tf.keras.Model.__module__.startswith("tf_keras"):
        raise ImportError(
            "tf.keras is Keras 3, but TF-GNN and TensorFlow Recommenders need Keras 2: import tf_e2egrec before tensorflow, "
            "or set the environment variable TF_USE_LEGACY_KERAS=1 (and install tf_keras)"
        )

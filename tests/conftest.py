"""What every test run needs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

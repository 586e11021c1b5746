"""What every test run needs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from hypothesis import settings

import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

# The first call of a kernel compiles it, and test machines are shared: time says nothing about correctness here.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

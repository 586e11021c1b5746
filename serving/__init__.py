"""Serving an exported model: development server, client, warm-up records, files for TensorFlow Serving.

Nothing here imports the library's models: whatever a server needs lies in the SavedModel.
"""

# First of all: the package sets TF_USE_LEGACY_KERAS, which TensorFlow reads when it is imported.
import tf_e2egrec.errors  # noqa: F401

"""Swing, importance sampling and graph snapshots; no TensorFlow at import."""

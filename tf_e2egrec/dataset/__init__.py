"""Logs, description, ids, time, node tables and manifests; no TensorFlow at import."""

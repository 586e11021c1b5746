"""Stages: each reads what the former wrote under RUN_DIR and publishes one artefact."""

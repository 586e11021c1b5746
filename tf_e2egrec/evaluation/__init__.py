"""Metrics as pure functions, and the report."""

"""Subgraph records: schema, encoding and input; importing the package itself loads nothing."""

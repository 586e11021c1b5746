"""The `e2egrec` command."""

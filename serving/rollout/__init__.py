"""Canary, promote, rollback: version labels on running servers and in their models.config."""

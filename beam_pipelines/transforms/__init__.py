"""Composite transforms of the stages."""

"""Comparisons: which models on which graphs, every run a process, the report; and the simulation built on them."""

"""Measurements; every figure that the project states is made by one of these."""

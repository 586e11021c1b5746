"""Retrieval from interaction logs: matrix factorisation, LightGCN and LightGODE, ranked against all items."""

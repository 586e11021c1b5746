"""Open-loop traffic against a server, and what became of it."""

"""A seeded generator of short-video logs."""

"""A local page to look at a run with: items and their neighbours, users and their rankings."""

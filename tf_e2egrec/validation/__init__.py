"""Whether a new day of logs looks like the one before."""

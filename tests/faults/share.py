"""`share_of`: how much of the harness runs; `make test-slow`, and with it CI, takes half of it."""

import os

SHARE = float(os.environ.get("FAULTS_SHARE", "1"))
if not 0 < SHARE <= 1:
    raise ValueError(f"FAULTS_SHARE should be above 0 and at most 1. Received: {SHARE}")


def share_of(count: int) -> int:
    """So many of a slow test's kill points, cases or nights; at least one."""
    return max(1, round(SHARE * count))

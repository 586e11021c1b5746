"""What counters are called in a summary that people read."""

import re

_NAMES = {
    "duplicate_rows": "rows dropped: exact duplicates",
    "filtered_rows": "rows dropped: neither the ranker nor the graph uses them",
    "ranker_rows": "rows that feed the ranker",
    "reward_rows": "rows that feed the ranker and have the reward",
    "graph_rows": "rows that feed the graph",
    "graph_positive_rows": "rows that feed the graph and are positive",
    "events": "rows used",
    "positive_rows": "Swing: positive rows",
    "rows_without_key": "Swing: rows dropped: no user or no item",
    "users_below_min": "Swing: users dropped: fewer than min_behaviours items",
    "rows_of_users_below_min": "Swing: rows dropped: of users with fewer than min_behaviours items",
    "repeated_rows": "Swing: rows dropped: same user, item and time as another",
    "anchor_thresholds": "Swing: hot items whose users are capped before they are sent",
    "anchor_rows_left_out": "Swing: rows of hot items left out: beyond max_users_per_item in every snapshot",
    "shipped_rows": "Swing: rows sent to item shards",
    "shipped_users": "Swing: users sent to item shards",
    "shipped_bytes": "Swing: bytes sent to item shards",
    "shards": "Swing: item shards",
    "snapshot_users_below_min": "Swing: users dropped, summed over snapshots: fewer than min_behaviours items",
    "snapshot_users_capped": "Swing: users capped, summed over snapshots: more than max_behaviours items",
    "snapshot_behaviours_capped": "Swing: behaviours capped, summed over snapshots: beyond max_behaviours",
    "snapshot_items_capped": "Swing: items capped, summed over snapshots: more than max_users_per_item users",
    "snapshot_anchor_users_capped": "Swing: users of items capped, summed over snapshots: beyond max_users_per_item",
    "pair_lookups": "Swing: pairs of users looked up",
    "contributions": "Swing: terms added to scores",
    "snapshots": "snapshots with edges",
    "snapshots_reused": "snapshots taken over unchanged",
    "snapshot_files": "files of edges",
    "edges": "edges, summed over snapshots",
    "items": "items",
    "users": "users",
    "items_without_events": "items that no row mentions",
    "users_without_events": "users that no row mentions",
    "items_without_features": "items that no table describes",
    "users_without_features": "users that no table describes",
    "impressions_logged": "impressions in the logs",
    "positives": "impressions with the reward",
    "negatives": "negatives sampled",
    "negatives_rejected": "negatives drawn again: known to the user or drawn before",
    "negatives_missing": "negatives dropped: none was found",
    "records": "records",
    "swing_edges": "Swing edges in records",
    "recent_items": "recent items in records",
    "isolated_candidates": "records whose candidate has no neighbour",
    "without_snapshot": "records older than the first snapshot",
    "files": "files of records",
    "files_reused": "files of records taken over unchanged",
    "tables": "neighbour tables",
    "table_items": "items with neighbours, summed over neighbour tables",
    "table_edges": "edges, summed over neighbour tables",
    "tables_reused": "neighbour tables taken over unchanged",
}
_PATTERNS = {
    r"(.+)/rows_read": "{}: rows read",
    r"(.+)/bad_rows": "{}: rows dropped: unusable",
    r"(.+)/bad_rows/(.+)": "{}: rows dropped: `{}` missing, negative or unreadable",
    r"(.+)/duplicate_rows": "{}: rows dropped: id seen before",
    r"(.+)/dropped_values/(.+)": "{}: values capped: `{}` beyond max_values",
    r"(.+)/unreadable_values/(.+)": "{}: values dropped: `{}` unreadable",
    r"impressions_(train|valid|test)": "impressions: {}",
    r"positives_(train|valid|test)": "impressions with the reward: {}",
}


def is_named(counter: str) -> bool:
    """Whether a counter has a name of its own."""
    return counter in _NAMES or any(re.fullmatch(pattern, counter) for pattern in _PATTERNS)


def readable(counter: str) -> str:
    """What a counter is called, e.g. `rows dropped: exact duplicates`; one without a name of its own is spelt with blanks."""
    if counter in _NAMES:
        return _NAMES[counter]
    for pattern, text in _PATTERNS.items():
        match = re.fullmatch(pattern, counter)
        if match is not None:
            return text.format(*match.groups())
    return counter.replace("_", " ")

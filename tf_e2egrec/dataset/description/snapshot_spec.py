"""`SnapshotSpec`: how often the graph is rebuilt and how far back it sees."""

from tf_e2egrec.dataset.description.strict_model import StrictModel


class SnapshotSpec(StrictModel):
    """Graph snapshots in time.

    Attributes:
      refresh: `once` (one graph, built from the events before `split.labels_from`), or how often a new one
        becomes valid: `1h`, `1d`; a fraction such as 0.1 for `unit: rank`.
      window: how far back a snapshot sees: `48h`, `30d`, `all`; a fraction for `unit: rank`.
    """

    refresh: str | float = "1d"
    window: str | float = "all"

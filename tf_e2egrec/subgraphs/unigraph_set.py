"""`UnigraphSet`: a node or edge set of a graph in TF-GNN's unigraph layout."""

import dataclasses
import re

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.unigraph_feature import UnigraphFeature


@dataclasses.dataclass(frozen=True)
class UnigraphSet:
    """A set and the files that hold it (`tensorflow_gnn/data/unigraph.py` describes the layout).

    Attributes:
      name: of the set.
      pattern: of its files; `<base>@<n>` stands for `<base>-?????-of-<n>`. Empty for a node set without files.
      features: besides ids.
      source, target: node sets of an edge set; empty for a node set.
      is_reversed: the files' sources are the set's targets (`edge_type: reversed`).
    """

    name: str
    pattern: str
    features: tuple[UnigraphFeature, ...]
    source: str = ""
    target: str = ""
    is_reversed: bool = False

    @property
    def is_edge_set(self) -> bool:
        """Whether it is an edge set."""
        return bool(self.source)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The names of the ids in the files."""
        if not self.is_edge_set:
            return ("#id",)
        return ("#target", "#source") if self.is_reversed else ("#source", "#target")

    @property
    def glob(self) -> str:
        """The pattern with its number of shards written out."""
        match = re.fullmatch(r"(.*)@(\d+)", self.pattern)
        return f"{match[1]}-?????-of-{int(match[2]):05d}" if match else self.pattern

    @property
    def is_csv(self) -> bool:
        """Whether the files are CSV, not TFRecord; by the name, as TF-GNN guesses it.

        Raises:
          E2EGRecError: the name says neither.
        """
        if re.search(r"[_.-]tfrecords?|\btfr\b", self.pattern):
            return False
        if re.search(r"[_.-]csv\b", self.pattern):
            return True
        raise E2EGRecError(
            f"the files of `{self.name}` ({self.pattern}) are neither named .tfrecord nor .csv; rename them in the schema"
        )

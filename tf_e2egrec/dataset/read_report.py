"""`ReadReport`: what happened while log rows were read."""

import dataclasses
import json
from collections.abc import Iterable

import pyarrow as pa

from tf_e2egrec.dataset.column_values import is_text

MAX_EXAMPLES = 3
USER_IDS = "user ids"


def item_ids(domain: str) -> str:
    """What `ReadReport.kinds` calls the ids of a domain."""
    return f"item ids of domain `{domain}`"


@dataclasses.dataclass
class ReadReport:
    """Counters, examples of bad values and kinds of ids; reports of many blocks merge into one in any order.

    Attributes:
      origin: the file that is being read; names it in `kinds`.
      counters: name -> rows; see `canonical.canonicalise` for the names.
      examples: counter of bad rows -> up to three of the values that made them bad, as text.
      kinds: what is identified (`user ids`) -> kind of key (`integers`, `text`) -> where it was seen.
    """

    origin: str = ""
    counters: dict[str, int] = dataclasses.field(default_factory=dict)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    kinds: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    def count(self, name: str, rows: int) -> None:
        """Add to a counter; a counter that was only ever given zeros is there, too."""
        self.counters[name] = self.counters.get(name, 0) + int(rows)

    def add_examples(self, name: str, values: Iterable[str]) -> None:
        """Keep the few smallest values: a choice that does not depend on the order of blocks."""
        self.examples[name] = sorted({*self.examples.get(name, []), *values})[:MAX_EXAMPLES]

    def add_kind(self, what: str, column: str, values: pa.DataType) -> None:
        """Note the type in which a column of `origin` holds `what`; a column without values says nothing."""
        if not pa.types.is_null(values):
            self._add_kind(
                what, "text" if is_text(values) else "integers", f"`{self.origin}` (column `{column}`)"
            )

    def _add_kind(self, what: str, kind: str, where: str) -> None:
        seen = self.kinds.setdefault(what, {})
        seen[kind] = min(seen.get(kind, where), where)

    def to_json(self) -> str:
        """The report as text; `merged` reads it."""
        return json.dumps([self.counters, self.examples, self.kinds])

    @staticmethod
    def merged(reports: Iterable[str]) -> "ReadReport":
        """One report out of the texts of many."""
        whole = ReadReport()
        for text in reports:
            counters, examples, kinds = json.loads(text)
            for name, rows in counters.items():
                whole.count(name, rows)
            for name, values in examples.items():
                whole.add_examples(name, values)
            for what, seen in kinds.items():
                for kind, where in seen.items():
                    whole._add_kind(what, kind, where)
        return whole

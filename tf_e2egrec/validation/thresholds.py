"""`Thresholds`: from where on a new day is not like the one before."""

import dataclasses

from tf_e2egrec.errors import E2EGRecError


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Bounds; what lies beyond one blocks.

    Attributes:
      count_ratio: at least 1; rows, users and items may be so many times more, or fewer.
      rate_ratio: at least 1; the same for the share of rows with the reward or another behaviour.
      missing: by how much the share of missing values of a feature or label may differ.
      overlap: the smallest share of the new rows whose item the other side knows.
      stability: the largest population stability index of a feature.
      bad_rows: the largest share of unusable rows, and of exact duplicates.

    Raises:
      E2EGRecError: a bound makes no sense.
    """

    count_ratio: float = 2.0
    rate_ratio: float = 1.5
    missing: float = 0.05
    overlap: float = 0.5
    stability: float = 0.25
    bad_rows: float = 0.01

    def __post_init__(self) -> None:
        for name in ("count_ratio", "rate_ratio"):
            if not getattr(self, name) >= 1:
                raise E2EGRecError(f"`{name}` is {getattr(self, name)}; a ratio's bound is 1 or more")
        for name in ("missing", "overlap", "bad_rows"):
            if not 0 <= getattr(self, name) <= 1:
                raise E2EGRecError(f"`{name}` is {getattr(self, name)}; a share's bound lies between 0 and 1")
        if not self.stability >= 0:
            raise E2EGRecError(f"`stability` is {self.stability}; use 0 or more")

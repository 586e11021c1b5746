"""What a rollout finds and reports."""

import dataclasses
from collections.abc import Mapping

from serving.rollout.rollout_probe import ScoreDifference


@dataclasses.dataclass(frozen=True)
class TargetStatus:
    """What one server says of a model.

    Attributes:
      target: its address.
      states: state by version, such as "AVAILABLE"; "FAILED" for one that ended with an error.
      errors: why, by version that failed.
      labels: version by label.
      unreachable: why the server did not answer; None where it did.
    """

    target: str
    states: Mapping[int, str]
    errors: Mapping[int, str]
    labels: Mapping[str, int]
    unreachable: str | None = None


@dataclasses.dataclass(frozen=True)
class RolloutStatus:
    """Where a model's rollout stands.

    Attributes:
      model: its name.
      versions: what models.config lists.
      labels: version by label, in models.config.
      previous: what `rollback` would make stable.
      targets: the servers.
      agrees: whether every server answers for the labels as models.config has them.
    """

    model: str
    versions: tuple[int, ...]
    labels: Mapping[str, int]
    previous: int | None
    targets: tuple[TargetStatus, ...]
    agrees: bool


@dataclasses.dataclass(frozen=True)
class RolloutChange:
    """What a command did.

    Attributes:
      model: its name.
      labels: version by label, as it is now.
      versions: what the servers load now.
      former: version by label, as it was.
      targets: addresses of the servers.
      records: how many warm-up records the version answered, on every server.
      difference: from the stable version's answers, where they were compared.
      warnings: what did not come about and does no harm.
    """

    model: str
    labels: Mapping[str, int]
    versions: tuple[int, ...]
    former: Mapping[str, int]
    targets: tuple[str, ...]
    records: int
    difference: ScoreDifference | None
    warnings: tuple[str, ...]

"""`RolloutHistory`: which version was stable before the one that is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError

MOST_PROMOTIONS = 100


class RolloutHistory:
    """Promotions by model, in `<models.config>.history.json`.

    A promotion is written down before the models.config that it is about. Only those that lead to the stable version count, so
    that one which was written down and then did not happen, or was rolled back, means nothing.
    """

    def __init__(self, config: Path) -> None:
        """Read the file, where there is one.

        Args:
          config: the models.config beside which it lies.

        Raises:
          E2EGRecError: it is there and cannot be read.
        """
        self.path = config.with_name(f"{config.name}.history.json")
        self._promotions: dict[str, list[dict[str, Any]]] = {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            for model, promotions in content.items():
                self._promotions[model] = [
                    {"from": int(one["from"]), "to": int(one["to"]), "at": str(one["at"])}
                    for one in promotions
                ]
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError, AttributeError):
            raise E2EGRecError(
                f"{self.path} is damaged; restore it, or remove it to forget which versions were stable"
            ) from None

    def previous(self, model: str, stable: int) -> int | None:
        """The version that was stable before `stable` was, None where none is known."""
        place = self._place(model, stable)
        return None if place is None else int(self._promotions[model][place]["from"])

    def record(self, model: str, former: int, stable: int) -> None:
        """Write a promotion down; what came after `former` became stable is forgotten.

        Args:
          model: its name.
          former: the version that is stable now.
          stable: the version that will be.

        Raises:
          OSError: the file cannot be written.
        """
        place = self._place(model, former)
        kept = self._promotions.get(model, [])[: 0 if place is None else place + 1]
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._promotions[model] = [*kept, {"from": former, "to": stable, "at": at}][-MOST_PROMOTIONS:]
        write_whole(self.path, json.dumps(self._promotions, indent=2) + "\n")

    def _place(self, model: str, stable: int) -> int | None:
        """Where the last promotion to `stable` stands."""
        promotions = self._promotions.get(model, [])
        return next((i for i in reversed(range(len(promotions))) if promotions[i]["to"] == stable), None)

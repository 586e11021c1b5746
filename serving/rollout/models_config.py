"""`ModelsConfig`: the file that tells servers which versions to load and how labels call them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.server_configuration import read_model_config
from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError

_SPECIFIC = "`model_version_policy { specific { versions: 1 } }`"


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """One model of a models.config.

    Attributes:
      name: in requests.
      base_path: directory above the versions, as the servers see it.
      versions: what servers load, ascending.
      labels: version by label.
    """

    name: str
    base_path: str
    versions: tuple[int, ...]
    labels: Mapping[str, int]


class ModelsConfig:
    """A models.config, read and checked; a text `ModelServerConfig` with a `model_config_list`.

    Attributes:
      path: the file.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file.

        Args:
          path: the file that servers are started with (`--model_config_file`).

        Raises:
          E2EGRecError: it lists no model; otherwise as `read_model_config`.
        """
        self.path = Path(path)
        self._proto = read_model_config(self.path)
        if not self._proto.model_config_list.config:
            raise E2EGRecError(
                f"{self.path} lists no model; write it like serving/model_server/models.config"
            )
        text = self.path.read_text(encoding="utf-8")
        # Comments are not part of the message: those at the head, which explain the file, are written again.
        lines = text.splitlines(keepends=True)
        end = next(
            (i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines)
        )
        self._head = "".join(lines[:end])

    def model(self, name: str | None = None) -> ModelEntry:
        """One model of the file.

        Args:
          name: its name; may be left out where the file lists one model.

        Raises:
          E2EGRecError: the file has no such model or several to choose from, the model's versions are not listed one by
            one, or a label names a version that is not listed.
        """
        names = [one.name for one in self._proto.model_config_list.config]
        if name is None and len(names) > 1:
            raise E2EGRecError(
                f"{self.path} lists several models; choose one with --name: {', '.join(names)}"
            )
        chosen = names[0] if name is None else name
        if chosen not in names:
            raise E2EGRecError(f"{self.path} lists no model {chosen}; it lists {', '.join(names)}")
        found = self._proto.model_config_list.config[names.index(chosen)]
        versions = tuple(sorted(set(found.model_version_policy.specific.versions)))
        if not versions:
            raise E2EGRecError(
                f"{self.path}: model {chosen} leaves the choice of versions to the server, which then drops those that labels "
                f"need; list them with {_SPECIFIC}"
            )
        absent = sorted(
            f"{label}: {number}" for label, number in found.version_labels.items() if number not in versions
        )
        if absent:
            raise E2EGRecError(
                f"{self.path}: model {chosen} labels versions that it does not list ({', '.join(absent)}); add them to "
                "`specific` or take the labels away"
            )
        return ModelEntry(chosen, found.base_path, versions, dict(sorted(found.version_labels.items())))

    def with_model(self, entry: ModelEntry) -> Any:
        """The configuration with one model's versions and labels replaced; the file stays as it is.

        Args:
          entry: of a model that the file lists.

        Returns:
          `ModelServerConfig` message of all models.
        """
        made = type(self._proto)()
        made.CopyFrom(self._proto)
        model = next(one for one in made.model_config_list.config if one.name == entry.name)
        model.model_version_policy.specific.versions[:] = entry.versions
        model.version_labels.clear()
        model.version_labels.update(entry.labels)
        return made

    def write(self, entry: ModelEntry) -> None:
        """Replace one model's versions and labels in the file, which readers see whole, old or new.

        Args:
          entry: of a model that the file lists.

        Raises:
          OSError: the file cannot be written.
        """
        self._proto = self.with_model(entry)
        write_whole(self.path, self._head + text_format.MessageToString(self._proto))

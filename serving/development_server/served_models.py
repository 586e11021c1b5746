"""All models of a server, and how a new configuration changes them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc

from serving.client.version_status import VersionStatus
from serving.development_server.loaded_version import LoadedVersion
from serving.development_server.request_error import RequestError
from serving.development_server.version_manager import VersionManager
from serving.server_configuration import check_model_config
from tf_e2egrec.errors import E2EGRecError


class ServedModels:
    """Finds the model and version that a request means, and takes new configurations.

    Configurations are taken as TensorFlow Serving takes them. Models that are new are loaded before `reload` returns;
    versions of models that are known are loaded and given up in the background, by the next `poll`. So a label for a
    version that the same configuration adds is refused, and set by a second one.
    """

    def __init__(self, load: Callable[[Path, int], LoadedVersion] = LoadedVersion) -> None:
        """Serve nothing yet.

        Args:
          load: makes a version of its directory and number; `LoadedVersion` without batching by default.
        """
        self._load = load
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._models: dict[str, VersionManager] = {}

    def reload(self, config: Any, *, starting: bool = False) -> None:
        """Serve what a configuration says instead of what was served before.

        Args:
          config: `ModelServerConfig` message; models that it does not name are unloaded.
          starting: the server starts: a model that cannot be loaded yet is no error.

        Raises:
          RequestError: INVALID_ARGUMENT where `check_model_config` refuses it, and nothing is changed; UNKNOWN where
            a new model has no version that could be loaded, and FAILED_PRECONDITION for a label whose version is not
            loaded. In these two cases the other labels stay as they were, and the versions follow the configuration.
        """
        try:
            check_model_config(config)
        except E2EGRecError as error:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        with self._reloading:
            wanted = {model.name: model for model in config.model_config_list.config}
            known = self._managers()
            new = {name: VersionManager(name, self._load) for name in wanted if name not in known}
            for name, manager in (known | new).items():
                if name in wanted:
                    manager.configure(Path(wanted[name].base_path), wanted[name].model_version_policy)
                else:
                    manager.configure(None)
                    manager.set_labels({})
            with self._lock:
                self._models |= new
            for manager in new.values():
                manager.poll()
            absent = [name for name, manager in new.items() if not manager.loaded()]
            if absent and not starting:
                raise RequestError(
                    grpc.StatusCode.UNKNOWN,
                    f"{len(absent)} servable(s) did not become available: {', '.join(absent)}",
                )
            self._set_labels({name: dict(model.version_labels) for name, model in wanted.items()})

    def poll(self) -> None:
        """Look at every model's directory once."""
        for manager in self._managers().values():
            manager.poll()

    @contextmanager
    def lease(self, spec: Any) -> Iterator[LoadedVersion]:
        """Hold the version a request means, so that a swap cannot close it while the request runs.

        Args:
          spec: `ModelSpec` message; without version and label the newest available version answers.

        Yields:
          The version.

        Raises:
          RequestError: NOT_FOUND for an unknown model or version, INVALID_ARGUMENT for no name or an unknown
            label.
        """
        if not spec.name:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        held: AbstractContextManager[LoadedVersion] = self._manager(spec.name).lease(spec)
        with held as version:
            yield version

    def statuses(self, spec: Any) -> list[VersionStatus]:
        """The states of all versions of a model seen so far, or of the one that `spec` names, newest first.

        Args:
          spec: `ModelSpec` message.

        Raises:
          RequestError: as `lease`; a version that failed or was unloaded still has a state.
        """
        if not spec.name:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        return self._manager(spec.name).statuses(spec)

    def close(self) -> None:
        """Unload everything."""
        for manager in self._managers().values():
            manager.close()

    def _managers(self) -> dict[str, VersionManager]:
        with self._lock:
            return dict(self._models)

    def _manager(self, name: str) -> VersionManager:
        """The model of this name; one without versions where there is none, so that it answers as they do."""
        return self._managers().get(name) or VersionManager(name, self._load)

    def _set_labels(self, labels: dict[str, dict[str, int]]) -> None:
        """Replace the labels of all models, or of none."""
        managers = self._managers()
        for name, versions in labels.items():
            for version in versions.values():
                if version not in managers[name].loaded():
                    raise RequestError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {name}, "
                        "which is not currently available for inference",
                    )
        for name, versions in labels.items():
            managers[name].set_labels(versions)

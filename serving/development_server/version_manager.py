"""Which versions of a model are in memory, and which of them answers a request."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from serving.client.version_status import VersionStatus
from serving.development_server.loaded_version import LoadedVersion
from serving.development_server.request_error import RequestError
from serving.server_configuration import wanted_versions

_MAX_VERSION = 2**63 - 1


def find_versions(base_path: Path) -> dict[int, Path]:
    """Find the version directories below a model's base directory.

    Args:
      base_path: directory that holds one directory per version.

    Returns:
      Path by version number; names other than a non-negative 64-bit integer are ignored, as are files.

    Raises:
      OSError: the base directory cannot be read.
    """
    found: dict[int, Path] = {}
    for child in sorted(base_path.iterdir()):
        is_number = child.name.isascii() and child.name.isdigit()
        if is_number and int(child.name) <= _MAX_VERSION and child.is_dir():
            found.setdefault(int(child.name), child)
    return found


def _contents(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a version's files: a version that failed is tried again when they change."""
    try:
        stats = [(str(path), path.stat()) for path in sorted(directory.rglob("*"))]
    except OSError:  # being written or removed just now: the next poll sees more
        return ()
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


class VersionManager:
    """Loads the wanted versions of one model, swaps versions, and hands them to requests.

    New versions are loaded while old ones go on serving; an old one is given up only when a wanted one is
    available, and closed when its last request is done. So a broken new version changes nothing for callers.
    """

    def __init__(self, model_name: str, load: Callable[[Path, int], LoadedVersion] = LoadedVersion) -> None:
        """Serve nothing yet: `configure` says what, and `poll` loads it.

        Args:
          model_name: for messages.
          load: makes a version of its directory and number.
        """
        self._model_name = model_name
        self._load_version = load
        self._base_path: Path | None = None
        self._policy: Any = None
        self._labels: dict[str, int] = {}
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._loaded: dict[int, LoadedVersion] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._failed: dict[int, tuple[tuple[str, int, int], ...]] = {}

    def configure(self, base_path: Path | None, policy: Any = None) -> None:
        """Say what the next `poll` shall load and give up.

        Args:
          base_path: directory that holds one directory per version, None to give up everything.
          policy: `ServableVersionPolicy` message, as `wanted_versions` takes it.
        """
        with self._lock:
            self._base_path, self._policy = base_path, policy

    def poll(self) -> None:
        """Look at the directory once: load what is new, give up what is no longer wanted.

        A base directory that cannot be read leaves everything as it is.
        """
        with self._polling:
            with self._lock:
                base_path, policy = self._base_path, self._policy
            try:
                found = find_versions(base_path) if base_path is not None else {}
            except OSError:
                return
            wanted = wanted_versions(policy, found) if found else set()
            for version in sorted(wanted, reverse=True):
                self._load(version, found[version])
            with self._lock:
                can_give_up = not wanted or bool(wanted & set(self._loaded))
                unwanted = set(self._loaded) - wanted if can_give_up else set()
            for version in sorted(unwanted):
                self._unload(version)

    @contextmanager
    def lease(self, spec: Any) -> Iterator[LoadedVersion]:
        """Hold the version a request means, so that a swap cannot close it while the request runs.

        Args:
          spec: `ModelSpec` message; without version and label the newest available version answers.

        Yields:
          The version.

        Raises:
          RequestError: NOT_FOUND for an unknown version, INVALID_ARGUMENT for an unknown label.
        """
        version = self._acquire(spec)
        try:
            yield version
        finally:
            version.release()

    def statuses(self, spec: Any) -> list[VersionStatus]:
        """The states of all versions seen so far, or of the one that `spec` names, newest first.

        Args:
          spec: `ModelSpec` message.

        Raises:
          RequestError: as `lease`; a version that failed or was unloaded still has a state.
        """
        with self._lock:
            version = self._version_number(spec)
            if version is None and not self._statuses:
                raise _not_found(f"Could not find any versions of model {self._model_name}")
            if version is None:
                return [self._statuses[key] for key in sorted(self._statuses, reverse=True)]
            if version not in self._statuses:
                raise _not_found(f"Could not find version {version} of model {self._model_name}")
            return [self._statuses[version]]

    def loaded(self) -> set[int]:
        """The versions that answer requests."""
        with self._lock:
            return set(self._loaded)

    def set_labels(self, labels: Mapping[str, int]) -> None:
        """Replace the labels.

        Args:
          labels: version number by label.
        """
        with self._lock:
            self._labels = dict(labels)

    def close(self) -> None:
        """Unload everything."""
        with self._polling:
            for version in sorted(self._loaded):
                self._unload(version)

    def _load(self, version: int, directory: Path) -> None:
        """Load one version unless it is loaded, or failed with the same files before."""
        if version in self._loaded:
            return
        # Taken before loading: what is written while the version loads and fails must count as a change.
        before = _contents(directory)
        with self._lock:
            if self._failed.get(version) == before:
                return
            self._statuses[version] = VersionStatus(version, "LOADING")
        try:
            loaded = self._load_version(directory, version)
        except RequestError as error:
            self._failed[version] = before
            with self._lock:
                self._statuses[version] = VersionStatus(version, "END", error.code.value[0], error.message)
            message = (
                f"development server: {self._model_name} version {version} failed to load: {error.message}"
            )
            print(message, file=sys.stderr, flush=True)
            return
        self._failed.pop(version, None)
        with self._lock:
            self._loaded[version] = loaded
            self._statuses[version] = VersionStatus(version, "AVAILABLE")

    def _unload(self, version: int) -> None:
        with self._lock:
            loaded = self._loaded.pop(version)
            self._statuses[version] = VersionStatus(version, "END")
        loaded.retire()

    def _acquire(self, spec: Any) -> LoadedVersion:
        """Find the version a request means and mark it as in use."""
        with self._lock:
            version = self._version_number(spec)
            if version is None and self._loaded:
                version = max(self._loaded)
            # Acquired under the manager's lock, under which versions are also dropped: it cannot be retired
            # in between.
            if version in self._loaded and self._loaded[version].acquire():
                return self._loaded[version]
        name = self._model_name
        raise _not_found(
            "Servable not found for request: "
            + (f"Specific({name}, {version})" if version is not None else f"Latest({name})")
        )

    def _version_number(self, spec: Any) -> int | None:
        """The version that a request names by number or label, None where it names none."""
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            if spec.version_label not in self._labels:
                message = f"Unrecognized servable version label: {spec.version_label}"
                raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
            return self._labels[spec.version_label]
        return int(spec.version.value) if choice == "version" else None


def _not_found(message: str) -> RequestError:
    return RequestError(grpc.StatusCode.NOT_FOUND, message)

"""`Rollout`: moves version labels on servers, in the order that keeps every label on a loaded version."""

import contextlib
import dataclasses
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from serving.rollout.model_admin import ModelAdmin
from serving.rollout.models_config import ModelEntry, ModelsConfig
from serving.rollout.rollout_history import RolloutHistory
from serving.rollout.rollout_probe import ScoreDifference, probe, score_difference
from serving.rollout.rollout_status import RolloutChange, RolloutStatus, TargetStatus
from serving.rollout.version_files import newest_version, require_whole
from serving.warmup import read_warmup
from tf_e2egrec.errors import E2EGRecError

STABLE, CANARY = "stable", "canary"
Check = Callable[[], tuple[int, ScoreDifference | None]]


class Rollout:
    """Moves one model's labels on one or more servers and in their models.config.

    Every change goes the same way: the servers load what is needed beside what they have, the version is tried, the labels
    move, models.config is written, and what nobody needs is unloaded. models.config is the last word: until it is written a
    failure puts the servers back as they were, and after a crash the command can be given again. Labels only ever move, so
    that callers of `stable` and `canary` are answered throughout.
    """

    def __init__(
        self,
        config: str | Path,
        targets: Sequence[str],
        name: str | None = None,
        models: str | Path | None = None,
        wait_seconds: float = 120.0,
    ) -> None:
        """Read the file and open channels; nothing is sent yet.

        Args:
          config: the models.config that the servers are started with.
          targets: gRPC addresses of all servers that serve from it, `host:port`.
          name: the model's name; may be left out where the file lists one model.
          models: the directory above the versions as this machine sees it, where that is not the file's `base_path`.
          wait_seconds: how long versions may take to load on all servers, seconds.

        Raises:
          E2EGRecError: the file cannot be used, or no target is given.
        """
        if not targets:
            raise E2EGRecError(
                "no server is named; give each one that serves from this models.config as --target host:port"
            )
        self._path = Path(config)
        self._entry = ModelsConfig(config).model(name)
        self._base = Path(models if models is not None else self._entry.base_path)
        self._wait_seconds = wait_seconds
        self._admins = [ModelAdmin(target, self._entry.name) for target in dict.fromkeys(targets)]

    def canary(self, version: int | None = None, max_difference: float | None = None) -> RolloutChange:
        """Load a version beside the stable one, try it, and point `canary` at it.

        Args:
          version: its number; the newest in the base path by default.
          max_difference: the largest absolute difference of scores to the stable version's that is let through, on the
            warm-up records.

        Returns:
          What was done.

        Raises:
          E2EGRecError: the version is missing, not whole, stable already, fails to load or to answer, or differs too much;
            nothing has changed then.
        """
        with self._locked() as (config, history):
            entry, stable = self._entry, self._stable()
            chosen = newest_version(self._require_base()) if version is None else version
            if chosen == stable:
                raise E2EGRecError(
                    f"version {chosen} is stable already; export a newer one, or choose with --version"
                )
            require_whole(self._require_base(), chosen)
            former = entry.labels.get(CANARY)
            labels = {**entry.labels, CANARY: chosen}
            kept = {*labels.values(), history.previous(entry.name, stable)}
            versions = {one for one in entry.versions if one != former or one in kept} | {chosen}
            return self._apply(config, labels, versions, lambda: self._try(chosen, stable, max_difference))

    def promote(self) -> RolloutChange:
        """Point `stable` at the canary's version, and keep the former one loaded for `rollback`.

        Raises:
          E2EGRecError: there is no canary, or it does not answer; nothing has changed then.
        """
        with self._locked() as (config, history):
            entry, stable = self._entry, self._stable()
            chosen = entry.labels.get(CANARY, stable)
            if chosen == stable:
                raise E2EGRecError(
                    f"there is no canary of model {entry.name} to promote, stable is version {stable}; "
                    "start one with `e2egrec rollout canary`"
                )
            require_whole(self._require_base(), chosen)
            labels = {**entry.labels, STABLE: chosen}
            outdated = history.previous(entry.name, stable)
            kept = {*labels.values(), stable}
            versions = {one for one in entry.versions if one != outdated or one in kept}
            return self._apply(
                config,
                labels,
                versions,
                lambda: self._try(chosen),
                before_writing=lambda: history.record(entry.name, stable, chosen),
            )

    def rollback(self) -> RolloutChange:
        """Point `stable` (and `canary`, where it is on the same version) back at the version that was stable before.

        Where a promotion was interrupted, so that a server is ahead of models.config, that promotion is undone.

        Raises:
          E2EGRecError: none was, or it is gone or does not answer; nothing has changed then.
        """
        with self._locked() as (config, history):
            entry, stable = self._entry, self._stable()
            if any(admin.label(STABLE) not in {None, stable} for admin in self._admins):
                return self._apply(config, entry.labels, set(entry.versions), lambda: self._try_again(stable))
            former = history.previous(entry.name, stable)
            if former is None:
                raise E2EGRecError(
                    f"model {entry.name} has no previous version to roll back to: no promotion to version {stable} is "
                    f"written down in {history.path}; to stop a canary, use --canary"
                )
            require_whole(self._require_base(), former)
            moved = {STABLE, CANARY} & {label for label, number in entry.labels.items() if number == stable}
            labels = {**entry.labels, **dict.fromkeys(moved, former)}
            return self._apply(
                config, labels, self._without(stable, labels) | {former}, lambda: self._try_again(former)
            )

    def withdraw(self) -> RolloutChange:
        """Point `canary` at the stable version, and unload the one it was on.

        Raises:
          E2EGRecError: there is no canary.
        """
        with self._locked() as (config, history):
            entry, stable = self._entry, self._stable()
            former = entry.labels.get(CANARY, stable)
            if former == stable:
                raise E2EGRecError(
                    f"there is no canary of model {entry.name} to stop, stable is version {stable}"
                )
            labels = {**entry.labels, CANARY: stable}
            is_spare = former == history.previous(entry.name, stable)
            versions = set(entry.versions) if is_spare else self._without(former, labels)
            return self._apply(config, labels, versions, lambda: (0, None))

    def status(self) -> RolloutStatus:
        """What models.config says, and what the servers do."""
        entry, history = self._entry, RolloutHistory(self._path)
        targets = tuple(_target_status(admin, entry.labels) for admin in self._admins)
        stable = entry.labels.get(STABLE)
        agrees = all(
            one.unreachable is None
            and one.labels == entry.labels
            and all(one.states.get(number) == "AVAILABLE" for number in entry.versions)
            for one in targets
        )
        previous = None if stable is None else history.previous(entry.name, stable)
        return RolloutStatus(entry.name, entry.versions, entry.labels, previous, targets, agrees)

    def close(self) -> None:
        """Close the channels."""
        for admin in self._admins:
            admin.close()

    def __enter__(self) -> "Rollout":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[tuple[ModelsConfig, RolloutHistory]]:
        """Keep other rollouts of the same file out, and read it again: one may just have ended."""
        with self._path.with_name(f".{self._path.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise E2EGRecError(f"another rollout is at work on {self._path}; wait for its end") from None
            config = ModelsConfig(self._path)
            self._entry = config.model(self._entry.name)
            yield config, RolloutHistory(self._path)

    def _stable(self) -> int:
        stable = self._entry.labels.get(STABLE)
        if stable is None:
            raise E2EGRecError(
                f"{self._path}: model {self._entry.name} has no label `{STABLE}`; add the version that callers get now as "
                f'`version_labels {{ key: "{STABLE}" value: 1 }}`'
            )
        return stable

    def _require_base(self) -> Path:
        if not self._base.is_dir():
            raise E2EGRecError(
                f"{self._base}: no such directory on this machine; say with --models where it finds the versions of model "
                f"{self._entry.name}"
            )
        return self._base

    def _without(self, version: int, labels: Mapping[str, int]) -> set[int]:
        """The listed versions but one, which stays where a label names it."""
        return {one for one in self._entry.versions if one != version or one in labels.values()}

    def _try(
        self, version: int, stable: int | None = None, max_difference: float | None = None
    ) -> tuple[int, ScoreDifference | None]:
        """Replay the version's warm-up records on every server; compare on the first."""
        requests = read_warmup(self._base / str(version))
        answers = [probe(admin.client, version, requests) for admin in self._admins]
        if stable is None:
            return len(requests), None
        found = score_difference(self._admins[0].client, stable, requests, answers[0])
        if max_difference is not None and (found is None or not found.maximum <= max_difference):
            what = (
                "cannot be compared with" if found is None else f"differs by up to {found.maximum:.4g} from"
            )
            raise E2EGRecError(
                f"the score of version {version} {what} that of stable version {stable} on its warm-up records, and "
                f"--max-difference is {max_difference:g}; the canary was not started"
            )
        return len(requests), found

    def _try_again(self, version: int) -> tuple[int, ScoreDifference | None]:
        """The same of a version that was stable: one without records has proven itself otherwise."""
        return self._try(version) if read_warmup(self._base / str(version)) else (0, None)

    def _apply(
        self,
        config: ModelsConfig,
        labels: Mapping[str, int],
        versions: set[int],
        check: Check,
        before_writing: Callable[[], None] = lambda: None,
    ) -> RolloutChange:
        """Bring servers and file from their present state to `labels` and `versions`, or leave both as they were."""
        entry = self._entry
        wanted = dataclasses.replace(
            entry, versions=tuple(sorted(versions)), labels=dict(sorted(labels.items()))
        )
        names = sorted({*entry.labels, *labels})
        # What the servers have now, which after a crash need not be what the file says.
        live = [
            {name: one for name in names if (one := admin.label(name)) is not None} for admin in self._admins
        ]
        failed = [{one for one, status in admin.states().items() if status.failed} for admin in self._admins]
        try:
            self._load(config, wanted, live, failed)
            records, difference = check()
            everything = {*entry.versions, *versions, *(one for found in live for one in found.values())}
            for admin in self._admins:
                admin.reload(
                    config.with_model(dataclasses.replace(wanted, versions=tuple(sorted(everything))))
                )
                _require_labels(admin, wanted.labels)
            before_writing()
            config.write(wanted)
        except BaseException as error:
            self._restore(config, entry, live, error)
            raise
        warnings = []
        for admin in self._admins:
            try:
                admin.reload(config.with_model(wanted))
            except E2EGRecError as error:
                warnings.append(f"{error}; it still has versions in memory that nobody needs")
        self._entry = wanted
        targets = tuple(admin.target for admin in self._admins)
        return RolloutChange(
            entry.name,
            wanted.labels,
            wanted.versions,
            entry.labels,
            targets,
            records,
            difference,
            tuple(warnings),
        )

    def _load(
        self,
        config: ModelsConfig,
        wanted: ModelEntry,
        live: Sequence[Mapping[str, int]],
        failed: Sequence[set[int]],
    ) -> None:
        """Have every server load what is wanted, with the labels that it has."""
        deadline = time.monotonic() + self._wait_seconds
        for admin, labels in zip(self._admins, live, strict=True):
            versions = {*self._entry.versions, *wanted.versions, *labels.values()}
            admin.reload(
                config.with_model(ModelEntry(wanted.name, wanted.base_path, tuple(sorted(versions)), labels))
            )
        for admin, old in zip(self._admins, failed, strict=True):
            admin.wait_for(wanted.labels.values(), old, deadline)

    def _restore(
        self, config: ModelsConfig, entry: ModelEntry, live: Sequence[Mapping[str, int]], cause: BaseException
    ) -> None:
        """Put every server back: its labels, and the versions of the file and of those labels.

        Raises:
          E2EGRecError: a server could not be; the sentence says the cause, too.
        """
        lost = []
        for admin, labels in zip(self._admins, live, strict=True):
            versions = tuple(sorted({*entry.versions, *labels.values()}))
            try:
                admin.reload(config.with_model(dataclasses.replace(entry, versions=versions, labels=labels)))
            except E2EGRecError:
                lost.append(admin.target)
        if lost and isinstance(cause, E2EGRecError):
            raise E2EGRecError(
                f"{cause}; and {', '.join(lost)} could not be put back: give the command again when it answers, or restart it"
            ) from cause


def _require_labels(admin: ModelAdmin, labels: Mapping[str, int]) -> None:
    for name, version in labels.items():
        found = admin.label(name)
        if found != version:
            raise E2EGRecError(
                f"server {admin.target} has label {name} on version {found}, not {version}; try again"
            )


def _target_status(admin: ModelAdmin, names: Mapping[str, int]) -> TargetStatus:
    try:
        states = admin.states()
        labels = {name: one for name in names if (one := admin.label(name)) is not None}
    except E2EGRecError as error:
        return TargetStatus(admin.target, {}, {}, {}, str(error))
    return TargetStatus(
        admin.target,
        {version: "FAILED" if status.failed else status.state for version, status in states.items()},
        {one: " ".join(status.error_message.split()) for one, status in states.items() if status.failed},
        labels,
    )

"""`e2egrec rollout` is killed at its changes and between its calls of the server: callers are answered, and it goes through when
given again.
"""

import json
from collections.abc import Iterator

import pytest

from serving.client.ranking_client import RankingClient
from serving.rollout.models_config import ModelsConfig
from serving.rollout.rollout_history import RolloutHistory
from tests.faults.tally import COMPARED, INJECTED, SERVED, SURVIVED, Tally
from tests.faults.warm_process import Ended, WarmProcess
from tests.serving.rollouts import Scene, answering
from tests.serving.servers import MODEL, model_config, reload, wait_for
from tf_e2egrec.errors import E2EGRecError

# (the labels before, the command, the labels after)
MOVES = {
    "canary": ({"stable": 1}, ("canary", "--version", "2"), {"canary": 2, "stable": 1}),
    "promote": ({"canary": 2, "stable": 1}, ("promote",), {"canary": 2, "stable": 2}),
    "rollback": ({"canary": 2, "stable": 2}, ("rollback",), {"canary": 1, "stable": 1}),
    "withdraw": ({"canary": 3, "stable": 1}, ("rollback", "--canary"), {"canary": 1, "stable": 1}),
}
ALREADY = ("there is no canary of model", "has no previous version to roll back to")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("rollout"))
    made.rollout.close()
    yield made
    made.close()


def prepare(scene: Scene, labels: dict[str, int]) -> None:
    """Server and files as they are before a move."""
    versions = sorted({1, *labels.values()})
    config = model_config(scene.base_path, versions, labels)
    scene.config.write_text(str(config))
    history = scene.config.with_name(f"{scene.config.name}.history.json")
    promoted = [{"from": 1, "to": 2, "at": "2026-01-01"}] if labels["stable"] == 2 else []
    history.write_text(json.dumps({MODEL: promoted}))
    loading = model_config(scene.base_path, versions, {})  # a label needs its version in memory
    reload(scene.target, loading)
    with RankingClient(scene.target, MODEL) as client:
        wait_for(lambda: {one.version for one in client.model_status() if one.available} >= set(versions))
    reload(scene.target, config)


def rollout(warm: WarmProcess, scene: Scene, arguments: tuple[str, ...], **fault: object) -> Ended:
    command = ("rollout", arguments[0], scene.config, *arguments[1:], "--target", scene.target)
    return warm.command(*command, below=scene.folder, **fault)


def state(scene: Scene) -> tuple[object, ...]:
    """What must be the same at the end: labels and versions of the file, of the server, and who was stable before."""
    entry = ModelsConfig(scene.config).model()
    labels = {name: answering(scene.target, name) for name in entry.labels}
    previous = RolloutHistory(scene.config).previous(MODEL, entry.labels["stable"])
    return dict(entry.labels), entry.versions, labels, previous


def kill(warm: WarmProcess, scene: Scene, move: str, most: int | None, tally: Tally) -> None:
    before, arguments, after = MOVES[move]
    prepare(scene, before)
    undisturbed = rollout(warm, scene, arguments)
    assert undisturbed.code == 0, undisturbed.err
    expected = state(scene)
    assert expected[0] == after
    count = len(undisturbed.changes)
    for at in range(0, count, 1 if most is None else max(1, count // most)):
        prepare(scene, before)
        killed = rollout(warm, scene, arguments, kind="kill", at=at)
        if not killed.killed:
            continue
        tally.count(INJECTED)
        where = f"rollout {move} killed before change {at} ({undisturbed.changes[at]})"
        try:
            stable = answering(scene.target, "stable")
            found = dict(ModelsConfig(scene.config).model().labels)
        except E2EGRecError as error:
            tally.fail(f"{where}: callers or the file are lost: {error}")
            continue
        tally.count(SERVED)
        if stable not in (before["stable"], after["stable"]) or found not in (before, after):
            tally.fail(f"{where}: stable answers with {stable}, the file says {found}")
            continue
        again = rollout(warm, scene, arguments)
        is_done = found == after and any(text in again.err for text in ALREADY)
        if again.code != 0 and not is_done:
            tally.fail(f"{where}: given again it says {again.err}")
            continue
        tally.count(COMPARED)
        if move == "rollback" and state(scene)[0] == before:
            # Servers ahead of the file are put back first: the rollback was undone, and is given once more.
            again = rollout(warm, scene, arguments)
        if state(scene) != expected:
            tally.fail(f"{where}: given again, {state(scene)} instead of {expected}")
            continue
        tally.count(SURVIVED)


def test_a_sample(warm: WarmProcess, scene: Scene, tally: Tally) -> None:
    kill(warm, scene, "promote", 5, tally)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("move", MOVES)
def test_every_change(warm: WarmProcess, scene: Scene, tally: Tally, move: str) -> None:
    kill(warm, scene, move, None, tally)

"""Canary, promote and rollback as they go when nothing goes wrong, on each kind of server."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.client.ranking_client import RankingClient
from serving.rollout.rollout_status import RolloutStatus
from tests.serving.rollouts import Scene, answering, loaded, settled
from tests.serving.servers import MODEL
from tf_e2egrec.errors import E2EGRecError


@pytest.fixture
def scene(tmp_path: Path, kind: str) -> Iterator[Scene]:
    made = Scene(tmp_path, kind)
    yield made
    made.close()


def test_from_canary_to_promotion_and_back(scene: Scene) -> None:
    target = scene.target
    change = scene.rollout.canary(2)
    assert (change.labels, change.versions, change.former) == (
        {"canary": 2, "stable": 1},
        (1, 2),
        {"stable": 1},
    )
    assert change.records == 2
    # score is factor * x on (1, 2), and of the second record the floats y and factor.
    assert change.difference is not None
    assert change.difference == (pytest.approx(2.0), pytest.approx(np.mean([1, 2, 1, 2, 1, 1])), 6)
    assert (answering(target, "stable"), answering(target, "canary")) == (1.0, 2.0)
    assert scene.state() == ((1, 2), {"canary": 2, "stable": 1})

    assert scene.rollout.promote().labels == {"canary": 2, "stable": 2}
    assert answering(target, "stable") == 2.0
    assert scene.state() == ((1, 2), {"canary": 2, "stable": 2})
    assert settled(target, {1, 2})  # the former one is kept

    scene.rollout.canary()  # the newest
    scene.rollout.promote()
    assert scene.state() == ((2, 3), {"canary": 3, "stable": 3})
    assert settled(target, {2, 3})

    assert scene.rollout.rollback().labels == {"canary": 2, "stable": 2}
    assert (answering(target, "stable"), answering(target, "canary")) == (2.0, 2.0)
    assert settled(target, {2})
    assert scene.rollout.rollback().labels == {"canary": 1, "stable": 1}  # loaded again
    assert settled(target, {1})
    assert scene.state() == ((1,), {"canary": 1, "stable": 1})
    with pytest.raises(E2EGRecError, match=r"no previous version to roll back to.*history\.json"):
        scene.rollout.rollback()
    scene.rollout.canary(3)
    scene.rollout.promote()
    assert scene.rollout.status().previous == 1
    assert scene.config.read_text().startswith("# Which versions are loaded.\n")


def test_a_canary_is_stopped_and_replaced(scene: Scene) -> None:
    scene.rollout.canary(2)
    assert scene.rollout.canary(3).labels == {"canary": 3, "stable": 1}
    assert settled(scene.target, {1, 3})
    assert scene.rollout.withdraw().labels == {"canary": 1, "stable": 1}
    assert settled(scene.target, {1})
    assert scene.state() == ((1,), {"canary": 1, "stable": 1})
    for command in (scene.rollout.withdraw, scene.rollout.promote):
        with pytest.raises(
            E2EGRecError, match=r"there is no canary of model tiny to .*, stable is version 1"
        ):
            command()


def test_rolling_back_leaves_another_canary_alone(scene: Scene) -> None:
    scene.rollout.canary(2)
    scene.rollout.promote()
    scene.rollout.canary(3)
    assert scene.rollout.rollback().labels == {"canary": 3, "stable": 1}
    assert settled(scene.target, {1, 3})


def test_a_canary_of_the_previous_version_stays_loaded_when_stopped(scene: Scene) -> None:
    scene.rollout.canary(2)
    scene.rollout.promote()
    scene.rollout.canary(1)
    scene.rollout.withdraw()
    assert settled(scene.target, {1, 2})
    assert scene.rollout.rollback().labels["stable"] == 1


def test_a_known_difference_passes_or_stops(scene: Scene) -> None:
    before = scene.config.read_text()
    with pytest.raises(E2EGRecError, match=r"differs by up to 2 from .* --max-difference is 1\.9"):
        scene.rollout.canary(2, max_difference=1.9)
    assert scene.config.read_text() == before
    assert settled(scene.target, {1})
    assert scene.rollout.canary(2, max_difference=2.0).labels["canary"] == 2


def test_the_base_path_as_this_machine_sees_it(scene: Scene) -> None:
    elsewhere = scene.folder / "here"
    elsewhere.symlink_to(scene.base_path)
    nowhere = scene.open(scene.target, models=scene.folder / "nowhere")
    with pytest.raises(E2EGRecError, match="nowhere: no such directory on this machine; say with --models"):
        nowhere.canary(2)
    assert scene.open(scene.target, models=elsewhere).canary(2).labels["canary"] == 2


def test_several_servers_move_together_or_not_at_all(scene: Scene) -> None:
    other = scene.start()
    targets = [scene.target, other.target]
    both = scene.open(*targets)
    both.canary(2)
    both.promote()
    assert [answering(target, "stable") for target in targets] == [2.0, 2.0]
    assert both.status().agrees
    other.stop()
    before = scene.config.read_text()
    with pytest.raises(E2EGRecError, match="cannot be"):
        both.canary(3)
    assert scene.config.read_text() == before
    assert settled(scene.target, {1, 2})
    found = both.status()
    assert not found.agrees
    assert [one.unreachable is None for one in found.targets] == [True, False]
    assert scene.rollout.rollback().labels["stable"] == 1  # an emergency need not wait for the other one


def test_nobody_is_refused_while_labels_move(scene: Scene) -> None:
    scene.rollout.canary(2)
    answers: list[float] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask(label: str) -> None:
        with RankingClient(scene.target, MODEL, retries=0) as client:
            while not stop.is_set():
                try:
                    outputs = client.predict({"x": np.ones(1, np.float32)}, "serving_default", label)
                    answers.append(float(outputs["y"][0] - outputs["factor"][0]))
                except E2EGRecError as error:
                    errors.append(error)

    threads = [threading.Thread(target=ask, args=(label,)) for label in ("stable", "canary")]
    for thread in threads:
        thread.start()
    try:
        scene.rollout.promote()
        scene.rollout.canary(3)
        scene.rollout.promote()
        scene.rollout.rollback()
        scene.rollout.canary(1)
        scene.rollout.withdraw()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert len(answers) > 10
    assert set(answers) == {0.0}  # one version answered each request as a whole


def test_a_server_started_without_labels_is_brought_along(scene: Scene) -> None:
    server = scene.start(model_base_path=scene.base_path, model_name=MODEL)
    assert loaded(server.target) == {3}
    scene.open(server.target).canary(2)
    assert (answering(server.target, "stable"), answering(server.target, "canary")) == (1.0, 2.0)


def test_status(scene: Scene) -> None:
    found = scene.rollout.status()
    assert isinstance(found, RolloutStatus)
    assert (found.model, found.versions, found.labels, found.previous) == (MODEL, (1,), {"stable": 1}, None)
    assert found.agrees
    assert found.targets[0].states == {1: "AVAILABLE"}
    assert found.targets[0].labels == {"stable": 1}
    (scene.base_path / "2/variables/variables.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(E2EGRecError, match="failed to load"):
        scene.rollout.canary(2)
    found = scene.rollout.status()
    assert found.targets[0].states == {1: "AVAILABLE", 2: "FAILED"}
    assert found.targets[0].errors[2]
    assert "\n" not in found.targets[0].errors[2]
    scene.rollout.canary(3)
    scene.rollout.promote()
    assert scene.rollout.status().previous == 1

"""`e2egrec rollout`: what it prints, and its mistakes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.job import e2egrec, refuse, succeed
from tests.serving.rollouts import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def rollout(scene: Scene, command: str, *options: object) -> str:
    return succeed("rollout", command, scene.config, "--target", scene.target, *options).out


def test_a_rollout_in_sentences(scene: Scene) -> None:
    first = rollout(scene, "status").splitlines()
    assert first[0].rstrip() == "model tiny"
    assert re.search(r"│ +1 │ stable │ AVAILABLE \(stable\) +│", "\n".join(first))
    said = rollout(scene, "canary", "--max-difference", 5)
    assert said.splitlines() == [
        f"canary  model tiny on {scene.target}: canary is version 3, stable is version 1",
        "  2 warm-up records were answered by every server",
        "  scores differ from the stable version's by 2.667 on average, 4 at most (6 scores)",
    ]
    assert "canary is version 3, stable is version 3" in rollout(scene, "promote")
    after = rollout(scene, "status")
    assert re.search(r"│ +3 │ canary, stable │ AVAILABLE \(canary, stable\) +│", after)
    assert "`rollback` would make version 1 stable" in after
    assert "stable is version 1" in rollout(scene, "rollback")
    rollout(scene, "canary", "--version", 2)
    assert "canary is version 1, stable is version 1" in rollout(scene, "rollback", "--canary")


def test_a_rollout_in_json(scene: Scene) -> None:
    change = json.loads(rollout(scene, "canary", "--version", 2, "--json"))
    assert change["labels"] == {"canary": 2, "stable": 1}
    assert change["former"] == {"stable": 1}
    assert change["difference"] == {"maximum": 2, "mean": pytest.approx(8 / 6), "scores": 6}
    promoted = json.loads(rollout(scene, "promote", "--json"))
    assert (promoted["records"], promoted["difference"], promoted["warnings"]) == (2, None, [])
    found = json.loads(rollout(scene, "status", "--json"))
    assert (found["previous"], found["agrees"], found["versions"]) == (1, True, [1, 2])
    assert found["targets"][0] == {
        "target": scene.target,
        "states": {"1": "AVAILABLE", "2": "AVAILABLE"},
        "errors": {},
        "labels": {"canary": 2, "stable": 2},
        "unreachable": None,
    }


def test_mistakes(scene: Scene, tmp_path: Path) -> None:
    def refused(command: str, *options: object, says: str) -> None:
        refuse("rollout", command, scene.config, "--target", scene.target, *options, says=(says,))

    refused("promote", says="there is no canary of model tiny to promote")
    refused("rollback", says="has no previous version to roll back to")
    refused("rollback", "--canary", says="there is no canary")
    refused("canary", "--version", 9, says=r"9: no such version; \S+ holds 1, 2, 3")
    refused("canary", "--version", 2, "--max-difference", 0.5, says="--max-difference is 0.5")
    refused("canary", "--name", "other", says="lists no model other; it lists tiny")
    refuse("rollout", "status", tmp_path / "no.config", says=("no.config",))
    (scene.base_path / "3/variables/variables.data-00000-of-00001").write_bytes(b"")
    failed = e2egrec("rollout", "canary", scene.config, "--target", scene.target)
    assert failed.code == 2
    assert re.search(r"^error: version 3 of model tiny failed to load on \S+: .+$", failed.err, re.MULTILINE)
    done = e2egrec("rollout", "status", scene.config, "--target", scene.target)
    assert done.code == 0
    assert re.search(r"│ +3 │ +│ FAILED", done.out)
    assert "warning: " in done.err


def test_a_server_that_is_away_is_shown(scene: Scene) -> None:
    scene.server.stop()
    done = e2egrec("rollout", "status", scene.config, "--target", scene.target)
    assert done.code == 0
    assert "unreachable" in done.out
    assert "cannot be" in done.err
    assert "not every server does what" in done.err
    refuse(
        "rollout",
        "canary",
        scene.config,
        "--target",
        scene.target,
        says=(f"server {scene.target} cannot be",),
    )


def test_help() -> None:
    out = succeed("rollout", "--help").out
    for command in ("canary", "promote", "rollback", "status"):
        assert f" {command} " in out

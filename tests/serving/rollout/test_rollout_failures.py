"""What stops a rollout, and that it leaves servers and models.config as they were."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.rollout.model_admin import ModelAdmin
from serving.rollout.models_config import ModelsConfig
from serving.rollout.rollout import Rollout
from serving.warmup import WARMUP_FILE
from tests.serving.rollouts import Scene, answering, settled
from tests.serving.servers import MODEL
from tf_e2egrec.errors import E2EGRecError


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def _without(name: str) -> Callable[[Path], object]:
    return lambda directory: (directory / name).unlink()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no graph": (_without("saved_model.pb"), "not a whole version .*no saved_model.pb"),
    "graph cut off": (
        lambda d: (d / "saved_model.pb").write_bytes((d / "saved_model.pb").read_bytes()[:500]),
        "cut off",
    ),
    "no index": (_without("variables/variables.index"), "not a whole version"),
    "no weights": (_without("variables/variables.data-00000-of-00001"), "files of variables/ are missing"),
    "weights cut off": (
        lambda d: (d / "variables/variables.data-00000-of-00001").write_bytes(b""),
        "version 2 of model tiny failed to load on 127",
    ),
    "no records": (_without(str(WARMUP_FILE)), "no warm-up records to try it with"),
    "gone": (shutil.rmtree, "2: no such version; .* holds 1, 3"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_version_changes_nothing(scene: Scene, case: str) -> None:
    spoil, says = BROKEN[case]
    spoil(scene.base_path / "2")
    before = scene.config.read_text()
    with pytest.raises(E2EGRecError, match=says) as caught:
        scene.rollout.canary(2)
    assert "\n" not in str(caught.value)
    assert scene.config.read_text() == before
    assert settled(scene.target, {1})
    assert answering(scene.target, "stable") == 1.0
    assert scene.rollout.status().agrees
    scene.rollout.canary(3)  # another one goes through


def test_a_version_that_was_mended_is_loaded(scene: Scene) -> None:
    weights = scene.base_path / "2/variables/variables.data-00000-of-00001"
    content = weights.read_bytes()
    weights.write_bytes(b"")
    with pytest.raises(E2EGRecError, match="failed to load"):
        scene.rollout.canary(2)
    weights.write_bytes(content)
    assert scene.rollout.canary(2).labels["canary"] == 2


def test_answers_that_are_not_finite(scene: Scene) -> None:
    scene.export(4, -1.0)
    before = scene.config.read_text()
    with pytest.raises(E2EGRecError, match=r"version 4 answers score of warm-up record 1 \(score\) with NaN"):
        scene.rollout.canary(4)
    assert scene.config.read_text() == before
    assert settled(scene.target, {1})


def test_refused_before_anything_is_sent(scene: Scene) -> None:
    with pytest.raises(E2EGRecError, match="version 1 is stable already"):
        scene.rollout.canary(1)
    with pytest.raises(E2EGRecError, match="no such version"):
        scene.rollout.canary(9)
    with scene.config.with_name(".models.config.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(E2EGRecError, match="another rollout is at work"):
            scene.rollout.canary(2)
    scene.config.write_text(scene.config.read_text().replace("stable", "nightly"))
    with pytest.raises(E2EGRecError, match="has no label `stable`"):
        scene.rollout.canary(2)
    with pytest.raises(E2EGRecError, match="no server is named"):
        Rollout(scene.config, [])


def test_the_previous_version_is_gone(scene: Scene) -> None:
    scene.rollout.canary(2)
    scene.rollout.promote()
    shutil.rmtree(scene.base_path / "1")
    before = scene.config.read_text()
    with pytest.raises(E2EGRecError, match="1: no such version"):
        scene.rollout.rollback()
    assert scene.config.read_text() == before


def test_going_back_needs_no_records(scene: Scene) -> None:
    scene.rollout.canary(2)
    scene.rollout.promote()
    (scene.base_path / "1" / WARMUP_FILE).unlink()
    change = scene.rollout.rollback()
    assert (change.labels["stable"], change.records) == (1, 0)
    assert answering(scene.target, "stable") == 1.0


class Refusing(model_service_pb2_grpc.ModelServiceServicer):
    """Passes calls on to another server, but refuses to move labels to one version."""

    def __init__(self, target: str, version: int) -> None:
        self.channel = grpc.insecure_channel(target)
        self.stub = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.version = version
        self.received: list[tuple[list[int], dict[str, int]]] = []

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            return self.stub.GetModelStatus(request, timeout=10)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        model = request.config.model_config_list.config[0]
        labels = dict(model.version_labels)
        self.received.append((list(model.model_version_policy.specific.versions), labels))
        if self.version in labels.values():
            response = model_management_pb2.ReloadConfigResponse()
            response.status.error_code = 9
            response.status.error_message = "not\nnow"
            return response
        return self.stub.HandleReloadConfigRequest(request, timeout=10)


@pytest.fixture
def refusing(scene: Scene) -> Iterator[tuple[Refusing, str, str]]:
    """A proxy that refuses version 2, its address, and the address of the server behind it."""
    behind = scene.start()
    servicer = Refusing(behind.target, 2)

    class Forward(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
            stub = prediction_service_pb2_grpc.PredictionServiceStub(servicer.channel)
            return stub.Predict(request, timeout=10)

        def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
            stub = prediction_service_pb2_grpc.PredictionServiceStub(servicer.channel)
            try:
                return stub.GetModelMetadata(request, timeout=10)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

    proxy = grpc.server(ThreadPoolExecutor(4))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, proxy)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Forward(), proxy)
    port = proxy.add_insecure_port("127.0.0.1:0")
    proxy.start()
    yield servicer, f"127.0.0.1:{port}", behind.target
    proxy.stop(None).wait()
    servicer.channel.close()


def test_a_server_that_refuses_a_label_puts_all_back(
    scene: Scene, refusing: tuple[Refusing, str, str]
) -> None:
    servicer, proxy, behind = refusing
    before = scene.config.read_text()
    both = scene.open(scene.target, proxy)
    with pytest.raises(E2EGRecError, match=r"did not take the configuration \(9\): not now$"):
        both.canary(2)
    assert scene.config.read_text() == before
    # It was told to load first, then to move the label, then to go back.
    assert servicer.received == [
        ([1, 2], {"stable": 1}),
        ([1, 2], {"stable": 1, "canary": 2}),
        ([1], {"stable": 1}),
    ]
    for target in (scene.target, behind):
        assert settled(target, {1})
        with ModelAdmin(target, MODEL) as admin:
            assert admin.label("canary") is None  # the first server had moved it
            assert admin.label("stable") == 1


def test_after_a_crash_the_command_is_given_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when labels have moved and the file is not yet written; nothing is put back."""
    scene.rollout.canary(2)

    def die(self: ModelsConfig, entry: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ModelsConfig, "write", die)
        patched.setattr(Rollout, "_restore", lambda *arguments: None)
        with pytest.raises(KeyboardInterrupt):
            scene.rollout.promote()
    assert answering(scene.target, "stable") == 2.0
    assert scene.state()[1] == {"canary": 2, "stable": 1}
    assert not scene.rollout.status().agrees
    # A rollback undoes the half promotion, and does not go back further.
    assert scene.rollout.rollback().labels == {"canary": 2, "stable": 1}
    assert answering(scene.target, "stable") == 1.0
    assert scene.rollout.status().agrees
    assert scene.rollout.promote().labels == {"canary": 2, "stable": 2}
    assert scene.rollout.status().previous == 1


def test_an_interrupt_puts_the_servers_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    before = scene.config.read_text()
    with monkeypatch.context() as patched:
        patched.setattr(ModelsConfig, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scene.rollout.canary(2)
    assert scene.config.read_text() == before
    assert settled(scene.target, {1})

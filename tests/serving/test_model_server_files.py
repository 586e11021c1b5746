"""The files of serving/model_server: schemas, what they say to each other, and what README.md says of them."""

import re
import shlex
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema

from serving.batching_parameters import BatchingParameters
from serving.rollout.models_config import ModelsConfig
from serving.server_command import model_server_argv
from tests.serving.model_server_files import (
    MODEL_SERVER,
    compose,
    compose_service,
    container,
    environment,
    flags,
    manifests,
    read,
)
from tests.serving.rollouts import Scene
from tests.serving.servers import MODEL
from tf_e2egrec.errors import E2EGRecError

KUBERNETES_VERSIONS = ("1.31", "1.34")


def test_the_compose_file_follows_the_specification() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(compose())) == []
    wrong = compose()
    wrong["services"]["model-server"]["read_onyl"] = True
    wrong["services"]["model-server"]["cap_drop"] = "ALL"
    assert len(list(validator.iter_errors(wrong))) == 2


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_manifests_follow_the_schemas(version: str) -> None:
    found = manifests()
    assert set(found) == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
    for manifest in found.values():
        kubernetes_validate.validate(manifest, version, strict=True)
    found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found["Deployment"], version, strict=True)


def test_the_tag_is_chosen_in_one_place() -> None:
    tag = environment()["TENSORFLOW_SERVING_TAG"]
    assert re.fullmatch(r"\d+\.\d+\.\d+-gpu", tag)
    assert container()["image"] == compose_service()["image"] == f"tensorflow/serving:{tag}"
    number = tag.removesuffix("-gpu")
    assert {path.name for path in MODEL_SERVER.iterdir() if number in path.read_text()} == {
        ".env",
        "kubernetes.yaml",
    }


def test_both_start_the_server_alike() -> None:
    ours, theirs = compose_service(), container()
    assert ours["entrypoint"] == theirs["command"] == ["tensorflow_model_server"]
    given = flags(ours["command"])
    assert given == flags(theirs["args"])
    assert given["enable_per_model_batching_parameters"] == "true"
    # Every flag that the library starts a server with, too.
    argv = model_server_argv(
        "server",
        port=8500,
        rest_port=8501,
        model_config_file=MODEL_SERVER / "models.config",
        batching_parameters_file=MODEL_SERVER / "batching_parameters.txt",
        monitoring_config_file=MODEL_SERVER / "monitoring.config",
    )
    assert {key for key in flags(argv[1:]) if not key.endswith("poll_wait_seconds")} <= set(given)
    # What the flags name is mounted there.
    mounts = dict(volume.split(":")[1::-1] for volume in ours["volumes"])
    assert all(volume.endswith(":ro") for volume in ours["volumes"])
    for flag in ("batching_parameters_file", "monitoring_config_file"):
        assert (MODEL_SERVER / mounts[given[flag]]).is_file()
        assert Path(given[flag]).name in manifests()["ConfigMap"]["data"]
    assert mounts["/models"] == environment()["MODELS_DIR"]
    assert given["model_config_file"] == "/models/models.config"
    assert {mount["name"]: mount["mountPath"] for mount in theirs["volumeMounts"]} == {
        "models": "/models", "config": "/config", "tmp": "/tmp"
    }  # fmt: skip


def test_the_config_map_holds_the_files() -> None:
    data = manifests()["ConfigMap"]["data"]
    assert set(data) == {"batching_parameters.txt", "monitoring.config"}
    for name, text in data.items():
        assert text == read(name)


def test_neither_runs_as_root_or_writes_to_its_image() -> None:
    ours = compose_service()
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]
    assert int(ours["user"].split(":")[0]) > 0
    assert all(port.startswith("127.0.0.1:") for port in ours["ports"])
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == ours["user"]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in container()["volumeMounts"]}
    assert [name for name, read_only in mounts.items() if not read_only] == ["tmp"]
    assert environment_of(container())["HOME"] == ours["environment"]["HOME"] == "/tmp"


def environment_of(one: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in one["env"]}


def test_resources_and_ports() -> None:
    resources = container()["resources"]
    assert resources["limits"] == resources["requests"]
    assert resources["limits"]["nvidia.com/gpu"] == 1
    ours = compose_service()["deploy"]["resources"]
    assert ours["limits"]["cpus"] == resources["limits"]["cpu"]
    assert ours["limits"]["memory"] == resources["limits"]["memory"].replace("Gi", "g")
    (device,) = ours["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    given = flags(container()["args"])
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    assert {port["name"]: port["port"] for port in manifests()["Service"]["spec"]["ports"]} == ports
    annotations = manifests()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == given["rest_api_port"]
    assert f'path: "{annotations["prometheus.io/path"]}"' in read("monitoring.config")


def test_selectors_and_probes() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for spec in (found["Deployment"]["spec"]["selector"], found["PodDisruptionBudget"]["spec"]["selector"]):
        assert spec["matchLabels"].items() <= labels.items()
    assert found["Service"]["spec"]["selector"].items() <= labels.items()
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] < found["Deployment"]["spec"]["replicas"]
    model = ModelsConfig(MODEL_SERVER / "models.config").model()
    assert environment()["MODEL_NAME"] == model.name
    for probe in ("startupProbe", "readinessProbe"):
        assert container()[probe]["httpGet"]["path"] == f"/v1/models/{model.name}/labels/stable/metadata"
    assert container()["livenessProbe"]["httpGet"]["path"] == f"/v1/models/{model.name}"
    names = {port["name"] for port in container()["ports"]}
    assert {container()[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe")} <= names


class _Status(BaseHTTPRequestHandler):
    answers: dict[str, int] = {}

    def do_GET(self) -> None:
        self.send_response(self.answers.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def rest() -> Iterator[int]:
    """The port of something that answers over HTTP as `_Status.answers` says."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("status", "well"), [(200, True), (404, False), (400, False), (None, False)])
def test_the_health_check_of_the_compose_file(rest: int, status: int | None, well: bool) -> None:
    test = compose_service()["healthcheck"]["test"]
    assert test[0] == "CMD"
    _Status.answers = {"/v1/models/ranker/labels/stable/metadata": status} if status else {}
    command = [part.replace("/8501", f"/{rest if status else 1}") for part in test[1:]]
    assert command[0] == "bash"
    assert shutil.which("bash"), shlex.join(command)
    done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    assert (done.returncode == 0) is well


def test_the_probes_ask_for_what_a_server_answers(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    try:
        running = scene.start(model_config_file=scene.config, rest_port=0)

        def status(probe: str) -> int:
            path = container()[probe]["httpGet"]["path"].replace("/ranker", f"/{MODEL}")
            try:
                with urllib.request.urlopen(f"http://{running.rest_target}{path}", timeout=10) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                return error.code

        probes = ("startupProbe", "readinessProbe", "livenessProbe")
        assert [status(probe) for probe in probes] == [200, 200, 200]
        scene.config.write_text(scene.config.read_text().replace("stable", "nightly"))
        running.stop()
        running = scene.start(model_config_file=scene.config, rest_port=0)
        assert [status(probe) == 200 for probe in probes] == [False, False, True]
    finally:
        scene.close()


def test_the_models_template() -> None:
    model = ModelsConfig(MODEL_SERVER / "models.config").model()
    assert (model.base_path, model.versions, model.labels) == (f"/models/{model.name}", (1,), {"stable": 1})


def test_the_batching_parameters() -> None:
    found = BatchingParameters.read(MODEL_SERVER / "batching_parameters.txt")
    assert found.allowed_batch_sizes == (1, 2, 4, 8, 16, 32)
    assert found.pad_variable_length_inputs
    assert str(found.num_batch_threads) == container()["resources"]["limits"]["cpu"]
    threads = int(flags(container()["args"])["grpc_max_threads"])
    assert threads == 2 * found.num_batch_threads * found.max_batch_size
    assert found.max_enqueued_batches == 2 * threads // found.max_batch_size


def test_a_misspelt_batching_field_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "batching_parameters.txt"
    path.write_text(read("batching_parameters.txt").replace("batch_timeout_micros", "batch_timeout_micro"))
    with pytest.raises(E2EGRecError, match="batch_timeout_micro"):
        BatchingParameters.read(path)


def test_the_monitoring_configuration() -> None:
    """There is no message of it in Python: two fields of one block, and nothing else."""
    text = re.sub(r"#.*", "", read("monitoring.config"))
    assert re.fullmatch(
        r'\s*prometheus_config\s*\{\s*enable:\s*true\s+path:\s*"/monitoring/prometheus/metrics"\s*\}\s*', text
    )


def hybrid_milliseconds() -> dict[int, str]:
    """p50 of one client of a `hybrid` export by the number of candidates: the table of docs/serving.md."""
    text = (MODEL_SERVER.parents[1] / "docs/serving.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([\d,]+) \| [\d.]+ / [\d.]+ \| ([\d.]+) / ", text, re.MULTILINE)
    assert "| candidates | cascade | `hybrid` |" in text
    return {int(candidates.replace(",", "")): p50 for candidates, p50 in table}


def test_the_numbers_of_the_readme() -> None:
    """The arithmetic of its table."""
    found = BatchingParameters.read(MODEL_SERVER / "batching_parameters.txt")
    given = flags(container()["args"])
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", read("README.md"), re.MULTILINE))
    for name in ("batch_timeout_micros", "max_batch_size", "num_batch_threads", "max_enqueued_batches"):
        assert f"`{name}` {getattr(found, name)}" in rows
    for name in ("grpc_max_threads", "per_process_gpu_memory_fraction", "max_num_load_retries"):
        assert f"`--{name}` {given[name]}" in rows
    assert f"{3 * 4 * 32 * 2000 / 1000:.0f} kB" in rows["`max_batch_size` 32"]
    milliseconds = hybrid_milliseconds()
    calls = 2 / (float(milliseconds[500]) / 1e3)
    queue = rows["`max_enqueued_batches` 16"]
    assert f"2 threads / {milliseconds[500]} ms, about {round(calls, -1):,.0f} calls a second" in queue
    assert f"the last of 256 waits {256 / calls:.2f} s" in queue
    assert f"takes {milliseconds[500]} ms without it" in rows["`batch_timeout_micros` 1000"]
    measured = f"500 candidates {milliseconds[500]} ms, of 2,000 {milliseconds[2000]} ms."
    assert measured in read("README.md")
    gigabytes = 4 * 64 * 4 * 1e6 / 1e9
    assert f"{gigabytes:.2f} GB" in rows["`--per_process_gpu_memory_fraction` 0.8"]
    for value in (3 * gigabytes, 0.8 * 16, 0.2 * 16):
        assert f"{value:.1f} GB" in rows["`--per_process_gpu_memory_fraction` 0.8"]


def test_every_file_is_described() -> None:
    readme = read("README.md")
    assert all(f"`{path.name}`" in readme for path in MODEL_SERVER.iterdir() if path.name != "README.md")

"""The files of serving/model_server, read."""

import re
from pathlib import Path
from typing import Any

import yaml

MODEL_SERVER = Path(__file__).parents[2] / "serving/model_server"


def read(name: str) -> str:
    return (MODEL_SERVER / name).read_text(encoding="utf-8")


def environment() -> dict[str, str]:
    """The variables of .env."""
    lines = [line for line in read(".env").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def interpolated(text: str) -> str:
    """As docker compose replaces `${NAME}` and `${NAME:?sentence}`, and `$$` by a dollar sign."""
    values = environment()
    found = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda match: values[match[1]], text)
    assert not re.search(r"(?<!\$)\$\{", found)
    return found.replace("$$", "$")


def compose() -> dict[str, Any]:
    return yaml.safe_load(interpolated(read("docker-compose.yaml")))


def compose_service() -> dict[str, Any]:
    return compose()["services"]["model-server"]


def manifests() -> dict[str, dict[str, Any]]:
    """Kubernetes objects by kind."""
    found = list(yaml.safe_load_all(read("kubernetes.yaml")))
    kinds = {one["kind"]: one for one in found}
    assert len(kinds) == len(found)
    return kinds


def container() -> dict[str, Any]:
    (only,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def flags(arguments: list[str]) -> dict[str, str]:
    pairs = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    assert len(pairs) == len(arguments)
    return pairs

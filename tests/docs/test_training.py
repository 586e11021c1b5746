"""The Kubernetes manifest of docs/training.md gives each pod the TF_CONFIG that its workers need."""

import json
import os
import re
import subprocess
from pathlib import Path

import yaml

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_every_pod_gets_its_own_number_and_the_same_cluster(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    service, job = yaml.safe_load_all(block)
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    command = tmp_path / "e2egrec"
    command.write_text('#!/bin/sh\necho "$TF_CONFIG"\n', encoding="utf-8")
    command.chmod(0o755)
    said = []
    for index in range(spec["completions"]):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(index)}
        done = subprocess.run(
            [*container["command"], *container["args"]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(json.loads(done.stdout))
    port = container["ports"][0]["containerPort"]
    names = [f"{job['metadata']['name']}-{i}.{pod['subdomain']}:{port}" for i in range(spec["completions"])]
    for index, config in enumerate(said):
        assert config == {"cluster": {"worker": names}, "task": {"type": "worker", "index": index}}

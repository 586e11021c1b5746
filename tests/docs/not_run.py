"""Documented commands that no test runs, and why; and those that a test of their own runs."""

CLUSTER = "needs a cluster or a cloud; tests/beam_pipelines builds the same jobs"
DOCKER = "needs Docker"
ENVIRONMENT = "installs packages: `make venv` does so in CI, the wheel is tried by hand for a release"
CI = "is a step of .ci/run"
HOURS = "runs the tests themselves"

# Text of the command -> reason.
NOT_RUN = {
    ". .venv/bin/activate": "changes the shell that it is typed in",
    "make venv": CI,
    "make lint": CI,
    "make test": CI,
    "make test-slow": CI,
    "make notebooks": CI,
    "make faults": HOURS,
    "make lowest": ENVIRONMENT,
    "make lock": "writes the versions of this machine into the repository",
    "python -m tests.docs.error_sentences": "writes a page into the repository; test_troubleshooting.py compares the two",
    "e2egrec --install-completion": "changes the files of the shell of whoever runs it",
    "docker compose up": DOCKER,
    "pip-audit -r requirements.lock": "asks the advisories of a package index, over the network",
    "apt-get install make python3-venv": "installs packages of the machine",
    "pip install matplotlib": ENVIRONMENT,
    "pip install jupyterlab": ENVIRONMENT,
    "pip install -c requirements.lock .": ENVIRONMENT,
    "pip install --no-deps recfarm==0.2.1": ENVIRONMENT,
    "jupyter lab notebooks": "JupyterLab is not a dependency; `make notebooks` runs the notebooks",
    "python -m venv /tmp/clean": ENVIRONMENT,
    "/tmp/clean/bin/pip install dist/tf_e2egrec-*.whl": ENVIRONMENT,
    "/tmp/clean/bin/e2egrec doctor": ENVIRONMENT,
    "/tmp/clean/bin/e2egrec synthesize /tmp/clean/data --users 1000 --videos 300 --days 5 --impressions 10000": ENVIRONMENT,
    "/tmp/clean/bin/e2egrec run /tmp/clean/data/dataset.yaml --out /tmp/clean/run --predict": ENVIRONMENT,
}

# Beginning of the command -> reason.
NOT_RUN_FAMILIES = {
    "docker build ": DOCKER,
    "gcloud ": CLUSTER,
    "python -m beam_pipelines.swing --input /mnt/run/dataset.yaml": CLUSTER,
    "python -m beam_pipelines.subgraphs --input /mnt/run/dataset.yaml": CLUSTER,
    "python -m beam_pipelines.swing --input dataset.yaml --data gs://BUCKET/logs": CLUSTER,
    "python -m benchmarks.retrieval": "needs PyTorch, an extra of its own",
    "python -m benchmarks.peers": "the same",
}

# Page -> the test that runs everything in its shell blocks.
RUN_ELSEWHERE = {
    "docs/runbook.md": "tests/serving/test_runbook.py",
    "docs/client.md": "tests/cli/test_client_docs.py",
    "docs/serving.md": "tests/serving/test_rest_examples.py",
}


def reason(text: str) -> str | None:
    """Why a command is not run; None where it is."""
    families = (why for start, why in NOT_RUN_FAMILIES.items() if text.startswith(start))
    return NOT_RUN.get(text) or next(families, None)

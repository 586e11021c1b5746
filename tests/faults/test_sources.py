"""Nothing that is read can run code, no secret is written down, and what is installed is pinned."""

import ast
import configparser
import re
from importlib.metadata import version as installed
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.faults.chain import BY_NAME, Chain
from tests.faults.warm_process import ROOT, SECRETS

SOURCES = [
    path
    for folder in ("tf_e2egrec", "beam_pipelines", "serving", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
    "jsonpickle",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
    "pd.read_pickle",
}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}


def violations(source: str) -> list[str]:
    """What a module does that could run code out of what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if name in FORBIDDEN_CALLS or name.endswith("enable_unsafe_deserialization"):
                found.append(name)
            if name in ("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"):
                loader = options.get("Loader", ast.unparse(node.args[1]) if len(node.args) > 1 else "")
                found += [name] * (loader not in SAFE_LOADERS)
            if options.get("allow_pickle", "False") != "False" or options.get("safe_mode", "True") != "True":
                found.append(name)
            if options.get("shell", "False") != "False" or options.get("weights_only", "True") != "True":
                found.append(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_can_run_code(path: Path) -> None:
    assert not violations(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "eval(text)",
        "exec(code)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.UnsafeLoader)",
        "np.load(f, allow_pickle=True)",
        "keras.models.load_model(p, safe_mode=False)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert violations(source)


def test_the_search_lets_the_safe_ways_pass() -> None:
    safe = "yaml.safe_load(t)\nyaml.load(t, Loader=yaml.SafeLoader)\nnp.load(f, allow_pickle=False)\nre.compile('a')\n"
    assert violations(safe + "model.eval_step()\nsubprocess.run([name])") == []


def test_no_secret_of_the_environment_is_written_down(chain: Chain, tmp_path: Path) -> None:
    """The commands ran with these variables set: no artefact and no output holds one."""
    assert "AWS_SECRET_ACCESS_KEY" in SECRETS
    run = chain.after(BY_NAME["refresh"])
    texts = [path.read_bytes() for path in run.rglob("*") if path.is_file()]
    done = chain.run(BY_NAME["refresh"], run)
    assert done.code == 0 and len(texts) > 10
    texts += [done.out.encode(), done.err.encode()]
    for secret in SECRETS.values():
        assert not any(secret.encode() in text for text in texts)


def requirements() -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"] + config["options.extras_require"]["dev"]
    return [Requirement(line) for line in lines.splitlines() if line.strip()]


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "every line of requirements.lock pins one version"
    return {_canonical(name): version for name, version in pairs}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_lock_file_agrees_with_the_requirements(requirement: Requirement) -> None:
    name = _canonical(requirement.name)
    assert name in locked(), f"requirements.lock lacks {name}; run `make lock`"
    assert requirement.specifier.contains(locked()[name], prereleases=True), (
        f"{requirement}: {locked()[name]}; run `make lock`"
    )


def test_the_lock_file_is_closed() -> None:
    """What a locked package needs is locked, too."""
    from importlib.metadata import PackageNotFoundError, requires

    pins = locked()
    for name in sorted(pins):
        try:
            needed = [Requirement(one) for one in requires(name) or []]
        except PackageNotFoundError:
            continue
        if installed(name) != pins[name]:
            continue
        for one in needed:
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                assert _canonical(one.name) in pins, f"{name} needs {one}; run `make lock`"

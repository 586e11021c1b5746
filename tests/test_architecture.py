"""What docs/design.md and CONTRIBUTING.md say about the code's shape, enforced."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tf_e2egrec

ROOT = Path(__file__).parents[1]
PACKAGES = ("tf_e2egrec", "beam_pipelines", "serving")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OURS = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 70

# Files that hold several small classes of one kind, or whose subject has another name than their class.
OTHER_CLASSES: dict[str, set[str]] = {
    "tf_e2egrec/dataset/artefact.py": {"Manifest", "StaleArtefactError"},
    "tf_e2egrec/dataset/events.py": {"EventBlock"},
    "tf_e2egrec/errors.py": {"E2EGRecError"},
    "tf_e2egrec/graph/snapshots.py": {"SnapshotPlan"},
    "tf_e2egrec/synthetic/short_video_world.py": {"Catalogue", "Niches", "World"},
    "tf_e2egrec/models/initializers.py": {"IdentityOnTop", "NormalWithZeroRow"},
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything a module imports at any level, `from a import b` as `a.b`; type-only imports aside."""
    found: set[str] = set()
    for node in _runtime_nodes(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _runtime_nodes(child)


def of(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


RUNS = ("tf_e2egrec.stages", "tf_e2egrec.comparison")

# Which folders may not import what; the first matching folder counts.
FORBIDDEN = {
    "tf_e2egrec/cli": ("apache_beam",),
    "tf_e2egrec/dataset": (
        "apache_beam", "tensorflow_gnn", "beam_pipelines", "serving",
        "tf_e2egrec.graph", "tf_e2egrec.subgraphs", "tf_e2egrec.models", *RUNS, "tf_e2egrec.synthetic",
    ),
    "tf_e2egrec/synthetic": (
        "apache_beam", "tensorflow", "tensorflow_gnn", "beam_pipelines", "serving",
        "tf_e2egrec.graph", "tf_e2egrec.subgraphs", "tf_e2egrec.models", *RUNS,
    ),
    "tf_e2egrec/evaluation": (
        "apache_beam", "tensorflow", "tensorflow_gnn", "beam_pipelines", "serving", "tf_e2egrec.models", *RUNS,
    ),
    "tf_e2egrec/graph": (
        "apache_beam", "beam_pipelines", "serving", "tf_e2egrec.subgraphs", "tf_e2egrec.models", *RUNS,
    ),
    "tf_e2egrec/subgraphs": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.models", *RUNS),
    "tf_e2egrec/stages": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.comparison", "tf_e2egrec.cli"),
    "tf_e2egrec/comparison": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.cli"),
    "tf_e2egrec/explorer": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.cli", "tf_e2egrec.comparison"),
    "tf_e2egrec/layers": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.models", *RUNS),
    "tf_e2egrec/losses": ("apache_beam", "beam_pipelines", "serving", "tf_e2egrec.models", *RUNS),
    "tf_e2egrec": ("apache_beam", "beam_pipelines", "serving"),
    "serving": (
        "apache_beam", "beam_pipelines", "tensorflow_gnn", "tensorflow_recommenders",
        "tf_e2egrec.models", "tf_e2egrec.layers", "tf_e2egrec.training", "tf_e2egrec.losses", *RUNS, "tf_e2egrec.cli",
    ),
    "beam_pipelines": (
        "serving", "tf_e2egrec.models", "tf_e2egrec.layers", "tf_e2egrec.training", "tf_e2egrec.losses",
        *RUNS, "tf_e2egrec.cli", "tf_e2egrec.export", "tensorflow_recommenders",
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_follow_the_table_of_the_design(path):
    folder = next(folder for folder in FORBIDDEN if relative(path).startswith(f"{folder}/"))
    wrong = sorted(name for name in imported(path) if of(name, *FORBIDDEN[folder]))
    if (
        folder == "tf_e2egrec/dataset" and path.name != "ids.py"
    ):  # which hashes texts with TensorFlow, when there are any
        wrong += sorted(name for name in imported(path) if of(name, "tensorflow"))
    assert not wrong, (
        f"{relative(path)} imports {', '.join(wrong)}: docs/design.md, Packages, does not allow it"
    )


def test_only_the_tests_of_pipelines_and_benchmarks_see_beam():
    users = {
        relative(path).split("/")[0] for path in OURS if any(of(n, "apache_beam") for n in imported(path))
    }
    assert users <= {"beam_pipelines", "tests", "benchmarks"}


def light_modules() -> list[str]:
    """Modules that a Beam worker or a client may import without paying for TensorFlow."""
    found = ["tf_e2egrec"]
    for package in ("dataset", "graph", "synthetic", "evaluation", "cli"):
        found += [
            relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            for path in sorted((ROOT / "tf_e2egrec" / package).rglob("*.py"))
        ]
    return found


def test_light_packages_do_not_import_tensorflow_or_beam():
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    loaded = {'tensorflow', 'tf_keras', 'apache_beam'} & set(sys.modules)\n"
    code += "    assert not loaded, f'{name} imports {loaded}'\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *light_modules()],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def test_importing_a_pipeline_does_not_import_tensorflow():
    names = [
        relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for path in sorted((ROOT / "beam_pipelines").rglob("*.py"))
    ]
    code = "import importlib, sys\n[importlib.import_module(name) for name in sys.argv[1:]]\n"
    code += "assert 'tensorflow' not in sys.modules\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_the_keras_switch_is_set_before_tensorflow_is_imported():
    code = "import os, tf_e2egrec; assert os.environ['TF_USE_LEGACY_KERAS'] == '1'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", OURS, ids=relative)
def test_files_and_functions_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, (
        f"{relative(path)} has {lines} lines, more than {MOST_LINES}: split it by subject"
    )
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            assert length <= MOST_LINES_OF_A_FUNCTION, (
                f"{relative(path)}: `{node.name}` has {length} lines, more than {MOST_LINES_OF_A_FUNCTION}"
            )


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class only names the fields that its module takes or returns: a NamedTuple or dataclass without methods."""
    is_tuple = any(ast.unparse(base) == "NamedTuple" for base in node.bases)
    is_dataclass = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    return is_tuple or (is_dataclass and not any(isinstance(one, ast.FunctionDef) for one in node.body))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_one_public_class_per_file_named_after_it(path):
    """A module of functions may bring a class; a module that is a class has its name; plain records do not count."""
    public = [node for node in tree(path).body if not getattr(node, "name", "_").startswith("_")]
    public = [node for node in public if not (isinstance(node, ast.ClassDef) and is_record(node))]
    classes = [node.name for node in public if isinstance(node, ast.ClassDef)]
    if relative(path) in OTHER_CLASSES:
        assert set(classes) == OTHER_CLASSES[relative(path)]
        return
    assert len(classes) <= 1, f"{relative(path)} holds {', '.join(classes)}: one public class per file"
    if classes and len(public) == 1:
        found = path.stem.replace("_", "")
        assert classes[0].lower() == found, f"{relative(path)} holds `{classes[0]}`: name the file after it"


@pytest.mark.parametrize("name", [name for name in tf_e2egrec.__all__ if name != "__version__"])
def test_public_names_are_there_and_documented(name):
    value = getattr(tf_e2egrec, name)
    assert name in dir(tf_e2egrec)
    assert value.__name__ == name
    assert value.__module__.startswith("tf_e2egrec.")
    own = value.__dict__.get("__doc__") if isinstance(value, type) else value.__doc__
    assert own, f"{name} has no docstring"
    if not isinstance(value, type):
        for parameter in inspect.signature(value).parameters:
            assert parameter in own, f"the docstring of {name} does not mention `{parameter}`"


def test_an_unknown_public_name_says_so():
    with pytest.raises(AttributeError, match="no attribute `Nothing`"):
        tf_e2egrec.Nothing  # noqa: B018


def test_tests_mirror_the_packages():
    """A folder of tests stands for a package, so that whoever changes a module finds its tests."""
    for folder in sorted((ROOT / "tests").iterdir()):
        if folder.is_dir() and folder.name not in ("__pycache__", "faults"):  # which is about all of them
            homes = [ROOT / folder.name, ROOT / "tf_e2egrec" / folder.name]
            assert any(home.is_dir() for home in homes), f"tests/{folder.name} mirrors no package"

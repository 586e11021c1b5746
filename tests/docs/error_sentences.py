"""Writes docs/troubleshooting.md: every sentence that the program can refuse with, found in its source.

Run `python -m tests.docs.error_sentences` after a sentence was changed or added.
"""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/troubleshooting.md"
PACKAGES = ("tf_e2egrec", "beam_pipelines", "serving")
ERRORS = {"E2EGRecError": 0, "StaleArtefactError": 0, "RequestError": 1}  # -> position of the sentence
VALIDATORS = (
    "tf_e2egrec/dataset/description"  # where a ValueError becomes a sentence with the file's name before it
)
GAP = "…"
DEPTH = 4  # of names within names
# Files whose sentences are in a table, or put together from pieces: all their longer texts count.
TABLES = (
    "tf_e2egrec/cli/main.py",
    "tf_e2egrec/dataset/description/load.py",
    "tf_e2egrec/dataset/read_checks.py",
    "tf_e2egrec/evaluation/leak_checks.py",
    "tf_e2egrec/synthetic/short_video_config.py",
)

# Where one meets a sentence; the first folder or file that fits counts.
PLACES = {
    "tf_e2egrec/dataset/description": "The description file",
    "tf_e2egrec/dataset/artefact.py": "Artefacts of a run",
    "tf_e2egrec/dataset": "Reading logs and feature tables",
    "beam_pipelines": "Pipelines: swing, subgraphs, refresh, unigraph",
    "tf_e2egrec/graph": "Pipelines: swing, subgraphs, refresh, unigraph",
    "tf_e2egrec/subgraphs": "Pipelines: swing, subgraphs, refresh, unigraph",
    "tf_e2egrec/stages/export": "export and candidates",
    "tf_e2egrec/stages/retrieval_recall.py": "export and candidates",
    "tf_e2egrec/export": "export and candidates",
    "tf_e2egrec/stages/compared_model.py": "compare, report, simulate",
    "tf_e2egrec/comparison": "compare, report, simulate",
    "tf_e2egrec/evaluation": "compare, report, simulate",
    "tf_e2egrec/stages": "train and evaluate",
    "tf_e2egrec/models": "train and evaluate",
    "tf_e2egrec/losses": "train and evaluate",
    "tf_e2egrec/layers": "train and evaluate",
    "tf_e2egrec/training": "train and evaluate",
    "tf_e2egrec/retrieval": "recommend",
    "tf_e2egrec/synthetic": "synthesize",
    "tf_e2egrec/explorer": "explore",
    "tf_e2egrec/validation": "validate",
    "tf_e2egrec/cli": "The command line",
    "serving/client": "predict and the Python clients",
    "serving/load_test": "loadtest",
    "serving/rollout": "rollout",
    "serving/development_server": "Answers of the development server",
    "serving": "serve",
    "tf_e2egrec": "Elsewhere",
}

MARK = "<!-- What follows is written by `python -m tests.docs.error_sentences`. -->\n"


@dataclasses.dataclass(frozen=True, order=True)
class Sentence:
    """One sentence.

    Attributes:
      place: heading under which it stands.
      path: file that it is in, relative to the repository.
      text: with `{name}` or a gap where something is put in.
    """

    place: str
    path: str
    text: str


def sentences() -> list[Sentence]:
    """Every sentence of the program, in the order of the page."""
    order = list(dict.fromkeys(PLACES.values()))
    found = {sentence for path in sorted(_sources()) for sentence in _of_file(path)}
    whole = [one for one in found if not any(_begins(one, other) for other in found)]
    return sorted(whole, key=lambda one: (order.index(one.place), one.path, one.text))


def _begins(one: Sentence, other: Sentence) -> bool:
    """Whether a sentence is but the beginning of another one of its file."""
    return (
        one.path == other.path
        and len(one.text) < len(other.text)
        and other.text.startswith(one.text.rstrip(f"{GAP} "))
    )


def page() -> str:
    """The text of the page: what stands above the mark as it is, and the sentences below."""
    above = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    parts, place = [above, MARK], None
    for one in sentences():
        if one.place != place:
            parts.append(f"\n## {one.place}\n")
            place = one.place
        parts.append(f"* `` {one.text} `` ({_module(one.path)})\n")
    return "".join(parts)


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def _module(path: str) -> str:
    return Path(path).stem.replace("_", " ").strip()


def _of_file(path: Path) -> Iterator[Sentence]:
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = _assigned(tree.body)
    if name in TABLES:
        yield from _of_table(name, tree)
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        known = constants | (_assigned(list(ast.walk(scope))) if scope is not tree else {})
        for call in _calls(scope):
            yield from _sentence(name, call, known)


def _of_table(path: str, tree: ast.Module) -> Iterator[Sentence]:
    """Every text of several words, but docstrings and what is passed by keyword, such as a help text."""
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr | ast.keyword)}
    left_out |= {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in left_out:
            for text in _texts(node, {}):
                if len(text.split()) > 3:
                    yield _sentence_of(path, text)


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    """The calls of a scope that are in no function within it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _sentence(path: str, call: ast.Call, known: dict[str, list[ast.expr]]) -> Iterator[Sentence]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    positions = ERRORS | ({"ValueError": 0} if path.startswith(VALIDATORS) else {})
    if name not in positions or len(call.args) <= positions[name]:
        return
    for text in _texts(call.args[positions[name]], known):
        if any(map(str.isalpha, re.sub(r"\{\w*\}", "", text))):
            yield _sentence_of(path, text)


def _sentence_of(path: str, text: str) -> Sentence:
    place = next(place for start, place in PLACES.items() if path.startswith(start))
    return Sentence(place, path, " ".join(text.split()))


def _texts(  # noqa: PLR0911  one for each kind of node
    node: ast.expr, known: dict[str, list[ast.expr]], depth: int = 0
) -> list[str]:
    """What an expression can read, a gap or a name for what is only known when it runs."""
    match node:
        case ast.Constant(value=value):
            return [str(value)]
        case ast.JoinedStr(values=parts):
            return _joined([_texts(part, known, depth + 1) for part in parts])
        case ast.FormattedValue(value=value):
            return _texts(value, known, depth + 1)
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body, known, depth + 1) + _texts(orelse, known, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([_texts(left, known, depth + 1), _texts(right, known, depth + 1)])
        case ast.Name(id=name) if name in known and depth < DEPTH:
            texts = [text for value in known[name] for text in _texts(value, {}, depth + 1)]
            return texts if all(any(map(str.isalpha, text)) for text in texts) else [f"{{{name}}}"]
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [f"{{{name}}}"]
    return [GAP]


def _joined(parts: list[list[str]]) -> list[str]:
    texts = [""]
    for part in parts:
        texts = [text + piece for text in texts for piece in part]
    return texts[:8]


def _assigned(nodes: list[ast.stmt] | list[ast.AST]) -> dict[str, list[ast.expr]]:
    """Texts that are given a name: constants of a module, and the pieces that a function puts together."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Constant() | ast.JoinedStr() | ast.IfExp() | ast.BinOp() as value,
            ):
                found.setdefault(name, []).append(value)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""Every command that a reader is told, with the place where it stands."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.command_parser import leaves, parse
from tests.docs.pages import PAGES, ROOT, SHELL, name_of, words

PROGRAMS = (
    "e2egrec", "python", "make", "pip", "pip-audit", "apt-get", "uv",
    "mkdocs", "jupytext", "jupyter", "docker", "gcloud", "curl", "tensorboard",
)  # fmt: skip
IN_SHELL = (
    *PROGRAMS, ".", "export", "cp", "mv", "rm", "cd", "git", "/tmp/clean/bin/pip", "/tmp/clean/bin/e2egrec",
)  # fmt: skip
_FENCE = re.compile(r"^ *```([^\n`]*)$")
_SPAN = re.compile(r"`([^`]+)`")
_SETTING = re.compile(r"^(?:[A-Z][A-Z0-9_]*=\S* +)+")  # an environment variable in front of a command
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@dataclasses.dataclass(frozen=True)
class DocumentedCommand:
    """A command as it is written.

    Attributes:
      document: relative path of the page, notebook or description file; `--help` for the examples of the program.
      line: where it stands, from 1; of an example, 0.
      text: one command, continued lines joined, comments left out.
      in_block: it stands in a shell block, not within a sentence.
    """

    document: str
    line: int
    text: str
    in_block: bool

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: `{self.text}`"


def documented_commands() -> list[DocumentedCommand]:
    """All of them, in the order of documents and lines; a sentence that just names a command is none."""
    found: list[DocumentedCommand] = []
    for page in PAGES:
        found += _of_markdown(name_of(page), page.read_text(encoding="utf-8"))
    for notebook in NOTEBOOKS:
        found += _of_markdown(name_of(notebook), _markdown_of(notebook))
    for config in CONFIGS:
        lines = config.read_text(encoding="utf-8").split("\n")
        found += [
            DocumentedCommand(name_of(config), number, text, True)
            for number, line in enumerate(lines, 1)
            if line.startswith("#") and (text := line.lstrip("# ")).startswith("e2egrec ")
        ]
    for _, command in leaves():
        for example in re.findall(r"^\s*Example: (.+)$", command.help or "", re.MULTILINE):
            found += [DocumentedCommand("--help", 0, one, True) for one in split(example)]
    return list(dict.fromkeys(found))


def split(line: str) -> list[str]:
    """The commands of a line: `a && b`, `a; b`, `a &`."""
    # A `;` or `&` within quotes stays: no command of ours has one there but in a request's body.
    if line.startswith("curl"):
        return [line]
    return [part.strip() for part in re.split(r"&&|\|\||;|&(?!\S)", line) if part.strip()]


def is_complete(text: str) -> bool:
    """Whether words within a sentence are a whole command, and not only the name of one."""
    parts = words(text)
    if parts[0] != "e2egrec":
        return len(parts) > 1 and parts[1] != "-I"
    if tuple(parts[1:]) in dict(leaves()):
        return parts[1:] == ["doctor"]  # the only one that needs nothing
    try:
        parse(parts[1:])
    except Exception:
        return False
    return True


def _markdown_of(notebook: Path) -> str:
    """The text cells of a notebook's script, everything else as empty lines, so that numbers of lines stay."""
    kept, within = [], False
    for line in notebook.read_text(encoding="utf-8").split("\n"):
        if line.startswith("# %%"):
            within = "[markdown]" in line
        kept.append(re.sub(r"^# ?", "", line) if within else "")
    return "\n".join(kept)


def _of_markdown(document: str, text: str) -> Iterator[DocumentedCommand]:
    info: str | None = None  # of the fence that is open
    start, gathered = 0, ""
    prose: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := _FENCE.match(line):
            info = None if info is not None else (match[1].split() or [""])[0]
            prose.append("")
            continue
        indented = info is None and line.startswith("    ") and line.strip().startswith(PROGRAMS)
        indented = indented and not (prose and prose[-1].lstrip().startswith(("*", "-", "|")))
        goes_on = bool(gathered)
        if not (goes_on or indented or (info is not None and info in SHELL)):
            prose.append(line if info is None else "")
            continue
        prose.append("")
        gathered = f"{gathered} {line.strip()}".strip()
        start = start if goes_on else number
        if gathered.endswith("\\") or gathered.count("'") % 2:
            gathered = gathered.removesuffix("\\").strip()
            continue
        known = IN_SHELL if info else PROGRAMS
        command = re.sub(r"(^|\s+)#.*$", "", gathered).removeprefix("$ ").strip()
        gathered = ""
        for one in split(command):
            if info or _SETTING.sub("", one).split()[0] in known:
                yield DocumentedCommand(document, start, one, True)
    yield from _of_prose(document, "\n".join(prose))


def _of_prose(document: str, text: str) -> Iterator[DocumentedCommand]:
    for match in _SPAN.finditer(text):
        command = " ".join(match[1].split())
        bare = _SETTING.sub("", command)
        if "\n\n" in match[1] or not bare.split() or bare.split()[0] not in PROGRAMS:
            continue
        if is_complete(bare):
            yield DocumentedCommand(document, text.count("\n", 0, match.start()) + 1, command, False)

"""The pages that people read, and the code blocks in them."""

import dataclasses
import re
import shlex
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "serving/model_server/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
_BLOCK = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
SHELL = ("sh", "bash", "shell", "console", "")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced or indented block of code.

    Attributes:
      page: relative path of the page.
      language: what stands behind the fence, its first word.
      text: the code.
    """

    page: str
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in any of these languages."""
    found = []
    for _, info, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        language = (info.split() or [""])[0]
        if language in languages:
            found.append(Block(name_of(page), language, textwrap.dedent(text)))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """Code within the prose."""
    return _SPAN.findall(prose(page))


def words(command: str) -> list[str]:
    return shlex.split(command)

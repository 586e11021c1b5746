"""Makes links of the guides to files beside docs/ work on the site (the files are copied, folders lose their link), and lists a page
that mkdocs.yml does not name at the end.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent
_OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./([^)#]+)\)")


def on_config(config: Any) -> Any:
    """Add the pages that nobody has given a place."""
    named = str(config["nav"])
    config["nav"] += [page.name for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in named]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link outside of docs/."""
    linked = {
        path for file in files.documentation_pages() for _, path in _OUTSIDE.findall(file.content_string)
    }
    for path in sorted(linked):
        if (ROOT / path).is_file():
            files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point the links at the copies."""

    def link(found: re.Match[str]) -> str:
        text, path = found.groups()
        return f"[{text}](files/{path})" if (ROOT / path).is_file() else text

    return _OUTSIDE.sub(link, markdown)

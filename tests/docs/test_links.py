"""Every link from one of our pages to another, to a heading or to a file leads somewhere."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, name_of, prose

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def headings(page):
    """Anchors as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{name_of(page)} links out of the repository: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in headings(target), f"{name_of(page)} links to {link}, which has no such heading"


def test_every_page_is_reached_from_the_first_ones():
    """A guide that nobody links is a guide that nobody reads."""
    reached, new = set(), {ROOT / "README.md", ROOT / "docs/index.md"}
    while new:
        page = new.pop()
        reached.add(page)
        links = [link.partition("#")[0] for link in _LINK.findall(prose(page)) if ":" not in link]
        targets = [(page.parent / link).resolve() for link in links]
        linked = {target / "README.md" if target.is_dir() else target for target in targets}
        new |= {target for target in linked if target.suffix == ".md" and target.exists()} - reached
    assert not set(PAGES) - reached

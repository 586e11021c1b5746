"""The pages in a real browser: no error in the console, nothing wider than a phone, the forms work. Skipped where there is no Chromium."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")]
PATIENCE_MS = 300_000  # of a machine that is busy; nothing is timed
WIDTHS = {"phone": 360, "desktop": 1280}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS.keys())
def page(browser, request):
    opened = browser.new_page(viewport={"width": request.param, "height": 800})
    errors = []
    opened.set_default_timeout(PATIENCE_MS)
    # The browser itself says that a page is not there.
    opened.on(
        "console",
        lambda one: errors.append(one.text) if one.type == "error" and "404" not in one.text else None,
    )
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert not errors


def require_fits(page):
    """Only tables may scroll sideways, within their own frame."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def test_from_the_first_page_to_an_item_to_a_user(server, explored, rankings, page):
    page.goto(server.url)
    assert page.get_by_role("heading", level=1).inner_text() == "run of short-video"
    require_fits(page)

    item = explored.id_of("item", int(explored.table(explored.snapshots[-1]).items[0]))
    page.get_by_label("item", exact=True).fill(item)
    page.get_by_label("item", exact=True).press("Enter")
    page.wait_for_url("**/item?id=*")
    assert page.get_by_role("heading", level=1).inner_text() == f"item {item}"
    require_fits(page)
    page.get_by_role("link", name="earlier").click()
    page.wait_for_url("**snapshot=*")
    require_fits(page)

    user = explored.id_of("user", rankings.most_shown(1)[0][0])
    page.get_by_label("user", exact=True).fill(user)
    page.get_by_label("user", exact=True).press("Enter")
    page.wait_for_url("**/user?id=*")
    assert page.get_by_role("heading", name="Ranking, with and without the graph").is_visible()
    require_fits(page)


def test_what_is_not_there_is_said(server, page):
    response = page.goto(server.url)
    assert response.status == 200
    page.get_by_label("user", exact=True).fill("nobody")
    page.get_by_label("user", exact=True).press("Enter")
    page.wait_for_url("**/user?id=nobody")
    assert "there is no user" in page.get_by_role("paragraph").first.inner_text()

"""The pages over HTTP, on loopback."""

import re
import urllib.error
import urllib.request

import pytest

from tests.cli.job import refuse, succeed
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.explorer.explorer_server import ExplorerServer


def fetch(server, path, **headers):
    request = urllib.request.Request(server.url.rstrip("/") + path, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def links(page):
    return set(re.findall(r'href="(/[^"]+)"', page.replace("&amp;", "&")))


def test_every_link_of_the_first_page_leads_to_a_page(server):
    status, page, headers = fetch(server, "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for heading in (
        "heaviest edges",
        "users with most positive events",
        "features that are missing",
        "test impressions",
    ):
        assert heading in page
    found = links(page)
    assert {path.split("?")[0] for path in found} >= {"/item", "/user"}
    for path in sorted(found)[:12]:
        assert fetch(server, path)[0] == 200, path


def test_an_item_shows_neighbours_and_who_links_them(server, explored):
    item = explored.table(explored.snapshots[-1]).items[0]
    status, page, _ = fetch(server, f"/item?id={explored.id_of('item', int(item))}")
    assert status == 200
    assert "neighbours that are sampled from" in page
    assert "co-users" in page
    first = explored.neighbours(int(item), explored.snapshots[-1])[0]
    assert f"{first.weight:.4g}" in page
    assert f'/user?id={explored.id_of("user", int(first.co_users[0]))}"' in page or "more" in page


def test_a_user_shows_both_rankings_and_the_request(server, rankings):
    user = rankings.most_shown(1)[0][0]
    status, page, _ = fetch(server, f"/user?id={user}")
    assert status == 200
    for text in (
        "neighbours taken away",
        "R0, without a graph",
        "attention, from token",
        "signature_name",
        "e2egrec predict --name R5",
    ):
        assert text in page


@pytest.mark.parametrize("path", ["/item?id=none", "/user", "/nothing", "/item?id=1000001&snapshot=x"])
def test_what_is_not_there(server, path):
    status, page, _ = fetch(server, path)
    assert status == 404
    assert "there is no" in page


def test_texts_are_escaped(server):
    _, page, _ = fetch(server, "/item?id=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_pages_from_elsewhere_get_nothing(server):
    assert fetch(server, "/", Host="example.com:80")[0] == 403


def test_a_taken_port(server, explored, rankings):
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(E2EGRecError, match=r"is taken .*choose another --port"):
        ExplorerServer(explored, rankings, port)


def test_the_command(run, data, monkeypatch):
    monkeypatch.setattr("tf_e2egrec.cli.explore_command.wait", lambda: None)
    done = succeed("explore", run.root, "--data", data, "--port", 0)
    assert re.search(r"http://127.0.0.1:\d+/ shows", done.out)
    done = succeed("explore", run.root, "--port", 0)
    assert "co-users and histories are left out" in done.err
    assert "--data" in done.err


def test_mistakes(run, data, tmp_path):
    refuse("explore", tmp_path, says=("is not a run directory",))
    refuse("explore", run.root, "--data", tmp_path, says=("no file matches",))
    refuse(
        "explore",
        run.root,
        "--data",
        data,
        "--model",
        "R4",
        "--port",
        0,
        says=("holds no finished train", "--models R4"),
    )
    refuse("explore", run.root, "--model", "R9", says=("there is no model `R9`",))

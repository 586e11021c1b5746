"""The pages over HTTP, on loopback."""

import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.job import refuse, succeed
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.explorer.explorer_server import ExplorerServer
from tf_e2egrec.explorer.user_page import user_page
from tf_e2egrec.stages.run_directory import RunDirectory


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
        "gate of gnn",
        "signature_name",
        "e2egrec predict --name R5",
    ):
        assert text in page


def test_attention_is_shown_where_the_fusion_has_it(explored, rankings):
    user = rankings.most_shown(1)[0][0]
    shown = rankings.of(user)
    assert "attention, from token" not in user_page(explored, user, "R5", shown)
    page = user_page(explored, user, "R5", shown._replace(attention=[[0.25, 0.125, 0.625]] * 3))
    assert "attention, from token" in page
    assert page.count("0.625") >= 3


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


def test_the_command(run, data, monkeypatch, tmp_path):
    monkeypatch.setattr("tf_e2egrec.cli.explore_command.wait", lambda: None)
    done = succeed("explore", run.root, "--data", data, "--port", 0)
    assert re.search(r"http://127.0.0.1:\d+/ shows", done.out)
    done = succeed("explore", run.root, "--port", 0)  # the run knows where its data were
    assert "left out" not in done.err
    moved = RunDirectory(Path(shutil.copytree(run.root, tmp_path / "run")))
    for gone in ("/nowhere", None):
        moved.data_root_file.write_text(gone) if gone else moved.data_root_file.unlink()
        done = succeed("explore", moved.root, "--port", 0)
        assert "co-users and histories are left out" in done.err
        assert "--data" in done.err


def test_damaged_records_are_one_sentence(run, data, tmp_path):
    copy = RunDirectory(Path(shutil.copytree(run.root, tmp_path / "run")))
    file = max((copy.subgraphs / "test").glob("*.tfrecord"), key=lambda path: path.stat().st_size)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refuse("explore", copy.root, "--data", data, says=(file.name, "is damaged", "subgraphs --force"))
    file.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    refuse("explore", copy.root, "--data", data, says=(file.name, "is damaged"))


def test_a_file_that_was_damaged_meanwhile_is_one_sentence(server, monkeypatch, capsys):
    def damaged(*_):
        raise E2EGRecError("the edges in x.parquet are damaged")

    monkeypatch.setattr("tf_e2egrec.explorer.explorer_server.start_page", damaged)
    status, page, _ = fetch(server, "/")
    assert status == 500
    assert "the edges in x.parquet are damaged" in page and "a bug" not in page
    assert capsys.readouterr().err == "error: the edges in x.parquet are damaged\n"


def test_mistakes(run, data, tmp_path):
    refuse("explore", tmp_path, says=("is not a run directory",))
    refuse("explore", run.root, "--data", tmp_path, says=("no file matches",))
    empty = Path(shutil.copytree(data, tmp_path / "empty"))
    for path in (empty / "interactions").glob("*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    refuse("explore", run.root, "--data", empty, says=("have no row that can be used", "--data"))
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

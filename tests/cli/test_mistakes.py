"""Every mistake of a user's is one sentence on stderr that says what, where and how to mend it; exit code 2."""

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.cli.job import e2egrec, fingerprints, refuse, rewrite, succeed


def log(content):
    return content["interactions"][0]


def set_swing_beta(content):
    content["graph"]["swing"]["beta"] = -0.3


def set_sampling_beta(content):
    content["graph"]["sampling"]["beta"] = -1


def never_click(content):
    log(content)["behaviours"]["click"] = {"column": "is_click", "at_least": 5}


def graph_never_positive(content):
    content["graph"]["positive"] = ["like"]
    log(content)["behaviours"]["like"] = {"column": "is_like", "at_least": 5}


DESCRIPTION_MISTAKES = {
    "glob without match": (
        lambda c: log(c).update(paths="logs/day-*.parquet"),
        (r"no file matches `.*/logs/day-\*.parquet`", r"interactions.0.paths", "check the path"),
    ),
    "missing column of a log": (
        lambda c: log(c).update(item="movie"),
        (r"day-00.parquet` has no column `movie`", "named by `interactions.0.item`", "it has user_id, "),
    ),
    "missing column of a table": (
        lambda c: c["items"][0]["features"][0].update(column="kind"),
        ("videos.parquet` has no column `kind`", "items.0.features", "it has video_id, "),
    ),
    "dates after 50000": (
        lambda c: log(c)["time"].update(unit="s"),
        ("day-00.parquet`: the time column `time_ms` read as `s`", "the year 57982", "set `time.unit: ms`"),
    ),
    "dates in 1970": (
        lambda c: log(c)["time"].update(unit="us"),
        ("the time column `time_ms` read as `us`", "the year 1970", "set `time.unit: ms`"),
    ),
    "timestamps expected": (lambda c: log(c)["time"].update(unit="iso"), ("time_ms", "`time.unit: iso` needs")),
    "no reward": (never_click, ("the reward `click` never happens", "check it and `ranker.rows`")),
    "no positive in the graph": (graph_never_positive, ("has `graph.positive`", "check `graph.rows`")),
    "no row for the ranker": (
        lambda c: c["ranker"].update(rows=[{"column": "position", "in": [-7]}]),
        ("no row is left to train the ranker", "check `ranker.rows`"),
    ),
    "misspelt key": (
        lambda c: c["graph"].update(recnet=3),
        ("changed.yaml: unknown key `graph.recnet`", "did you mean `recent`", "valid keys here are regime"),
    ),
    "missing key": (lambda c: c.pop("split"), ("changed.yaml: the key `split` is missing",)),
    "negative beta of Swing": (set_swing_beta, ("changed.yaml: `graph.swing`: `beta` is -0.3", "use 0 or more")),
    "negative beta of sampling": (set_sampling_beta, ("`graph.sampling.beta`", "greater than or equal to 0", "-1")),
    "behaviour not declared": (
        lambda c: c["ranker"].update(reward="share"),
        ("`ranker.reward` names the behaviour `share`", "declare click, like, long_view"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", DESCRIPTION_MISTAKES)
def test_mistakes_in_the_description(data, tmp_path, mistake):
    change, says = DESCRIPTION_MISTAKES[mistake]
    changed = rewrite(data, change, tmp_path / "changed.yaml")
    run = tmp_path / "run"
    command = "swing"
    if "table" in mistake:
        command = "subgraphs"
        succeed("swing", changed, "--data", data.parent, "--out", run)
    refuse(command, changed, "--data", data.parent, "--out", run, says=says)
    assert not (run / "subgraphs").exists()
    assert not list(run.glob(".*"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n- b\n", ("must be a mapping with the keys name, seed",)),
        ("", ("must be a mapping",)),
        ("name: [", ("is not valid YAML near line",)),
    ],
)
def test_a_description_that_is_no_mapping(tmp_path, text, says):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    refuse("run", path, "--out", tmp_path / "run", says=(str(path), *says))
    assert not (tmp_path / "run").exists()


def test_a_missing_description(tmp_path):
    path = tmp_path / "nowhere.yaml"
    refuse("run", path, "--out", tmp_path / "run", says=(f"{path} does not exist", "check the path"))
    refuse("run", tmp_path, "--out", tmp_path / "run", says=(f"{tmp_path} cannot be read", "must be a UTF-8 text file"))  # fmt: skip


@pytest.mark.parametrize("name", ["interactions/day-02.parquet", "videos.parquet"])
def test_truncated_parquet(data_copy, tmp_path, name):
    path = data_copy.parent / name
    whole = path.read_bytes()
    if name == "videos.parquet":
        succeed("swing", data_copy, "--out", tmp_path / "run")
    path.write_bytes(whole[: len(whole) // 2])
    command = ("run", data_copy, "--out", tmp_path / "run")
    refuse(*command, says=(f"{name}` cannot be read as parquet", "damaged"))
    path.write_bytes(b"")
    refuse(*command, says=(f"{name}` is empty", "remove it, or write it again"))


def test_ids_of_two_kinds(data_copy, tmp_path):
    path = data_copy.parent / "interactions/day-02.parquet"
    table = pq.read_table(path)
    table = table.set_column(0, "user_id", pc.cast(table["user_id"], pa.string()))
    pq.write_table(table, path)
    refuse(
        "swing",
        data_copy,
        "--out",
        tmp_path / "run",
        says=("user ids are integer", "day-02.parquet", "one type"),
    )


def test_splits_that_leave_something_empty(data, tmp_path):
    run, where = tmp_path / "run", ("--data", data.parent, "--out", tmp_path / "run")
    for bounds, says in (
        ({"train_until": "2025-01-01", "valid_until": "2025-01-02", "labels_from": "2024-01-01"}, ("training split", "check `split`")),
        ({"valid_until": "2027-01-02", "test_until": "2027-01-03"}, ("subgraphs/test holds no impressions", "change `split`")),
    ):  # fmt: skip
        changed = rewrite(data, lambda c, bounds=bounds: c["split"].update(bounds), tmp_path / "changed.yaml")
        if "train_until" in bounds:
            refuse("run", changed, *where, says=says)
        else:
            assert "no impression falls into the split `test`" in e2egrec("subgraphs", changed, *where).err
            succeed("train", changed, *where, "--models", "R0")
            refuse("evaluate", run, says=says)
            assert not (run / "evaluation").exists()


def test_a_run_directory_of_other_data(data_copy, run_copy):
    path = data_copy.parent / "interactions/day-05.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows - 10), path)
    rewrite(data_copy, lambda content: content["training"].update(epochs=2))
    before, kept = fingerprints(run_copy), (run_copy / "dataset.yaml").read_bytes()
    for command in ("swing", "run"):
        says = (
            f"{run_copy}/graph was made from other data",
            "choose another --out",
            "replace it with --force",
        )
        refuse(command, data_copy, "--out", run_copy, says=says)
    for command, name in (("subgraphs", "graph"), ("train", "subgraphs")):
        says = (
            f"{run_copy / name} was made from other data",
            "run `e2egrec s.* again, or choose another --out",
        )
        refuse(command, data_copy, "--out", run_copy, says=says)
    assert (fingerprints(run_copy), (run_copy / "dataset.yaml").read_bytes()) == (before, kept)
    succeed("swing", data_copy, "--out", run_copy, "--force")
    assert fingerprints(run_copy)["graph"] != before["graph"]


def test_a_missing_input_names_the_command_that_makes_it(data, tmp_path):
    run = tmp_path / "run"
    refuse(
        "subgraphs", data, "--out", run, says=(f"{run}/graph holds no finished swing", "run `e2egrec swing`")
    )
    refuse(
        "train", data, "--out", run, says=(f"{run}/subgraphs holds no finished", "run `e2egrec subgraphs`")
    )
    refuse("evaluate", run, says=(f"{run} is not a run directory", "run `e2egrec swing` first"))
    refuse("export", run, says=(f"{run} is not a run directory",))
    succeed("swing", data, "--out", run)
    refuse("evaluate", run, says=(f"{run}/subgraphs holds no finished", "run `e2egrec subgraphs` first"))


def test_models_that_are_not_there(data, job, run_copy, tmp_path):
    where = (data, "--out", job[0])
    for command in (("train", *where, "--models", "R0,R9"), ("export", job[0], "--model", "R9")):
        refuse(*command, says=("there is no model `R9`", "choose from R0, R1"))
    refuse("train", *where, "--models", ",", says=("no model is named",))
    refuse(
        "export",
        job[0],
        "--model",
        "R3",
        says=("R3/seed-0 holds no finished", "run `e2egrec train --models R3"),
    )
    (run_copy / "models/R5/seed-0/manifest.json").write_text("{")
    refuse("export", run_copy, says=("manifest.json is damaged", "again"))
    for name in ("R0", "R5"):
        (run_copy / f"models/{name}/seed-0/manifest.json").unlink()
    refuse(
        "evaluate", run_copy, says=(f"{run_copy}/models holds no trained model", "run `e2egrec train` first")
    )


def test_an_export_that_is_there_already(job):
    version = job[0] / "export/R5/1"
    refuse("export", job[0], "--version", 1, says=(f"{version} exists already", "choose another --version"))


def test_places_that_cannot_be_written(data, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "run"):
        refuse(
            "swing", data, "--out", out, says=(f"{file}.* a file where a directory is needed", "another path")
        )

    def no_permission(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "mkdir", no_permission)
    says = (f"no permission for {tmp_path}/run", "choose another directory or change its mode")
    refuse("swing", data, "--out", tmp_path / "run", says=says)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission(data, tmp_path):
    tmp_path.chmod(0o500)
    refuse("run", data, "--out", tmp_path / "run", says=(f"no permission for {tmp_path}",))
    tmp_path.chmod(0o700)


def test_synthesize_refuses(data, tmp_path):
    refuse("synthesize", data.parent, says=(f"{data.parent} exists", "remove it or name another folder"))
    for option in (("--start", "tomorrow"), ("--days", "2"), ("--graph-signal", "3"), ("--label-share", "3")):
        done = e2egrec("synthesize", tmp_path / "new", *option)
        assert done.code == 2
        assert option[0] in done.err
        assert "Traceback" not in done.err


def test_beam_options(data, tmp_path):
    where = (data, "--out", tmp_path / "run")
    refuse(
        "swing", *where, "--beam", "--swing_shards=many", says=("--swing_shards: invalid int value: 'many'",)
    )
    refuse("run", *where, "--beam", "'", says=("--beam cannot be read", "quotation"))
    assert (
        "warning: Unparseable argument: --swing_sards=3"
        in e2egrec("swing", *where, "--beam", "--swing_sards=3").err
    )


@pytest.mark.parametrize(
    "arguments", [("run",), ("bogus",), ("train", "x.yaml", "--out", "y", "--seeds", "0")]
)
def test_wrong_usage_shows_no_traceback(arguments):
    done = e2egrec(*arguments)
    assert done.code == 2
    assert "Usage" in done.err
    assert "Traceback" not in done.err


def test_an_interrupt_is_no_traceback(data, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("beam_pipelines.swing.run_swing", interrupt)
    done = e2egrec("swing", data, "--out", tmp_path / "run")
    assert (done.code, done.err) == (130, "error: interrupted; finished stages are kept\n")


def test_a_mistake_of_ours_keeps_its_traceback(data, tmp_path, monkeypatch):
    monkeypatch.setattr("beam_pipelines.swing.run_swing", lambda *args: np.zeros(1)[7])
    with pytest.raises(IndexError):
        e2egrec("swing", data, "--out", tmp_path / "run")

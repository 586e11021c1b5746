"""`e2egrec recommend`, end to end on small lists."""

import json

import numpy as np
import pytest
import tensorflow as tf
import yaml

from serving.batching_parameters import BatchingParameters
from tests.cli.job import e2egrec, fingerprints, refuse, succeed
from tf_e2egrec.cli import recommend_command
from tf_e2egrec.retrieval import discrepancy, train

SETTINGS = {"learning_rate": 0.02, "batch_size": 64, "epochs": 3}
DESCRIPTION = {
    "name": "tastes",
    "interactions": {
        "paths": "lists.txt",
        "format": "lists",
        "user": "user",
        "item": "item",
        "time": {"column": "position", "unit": "rank"},
        "behaviours": {"buy": {"always": True}},
    },
    "ranker": {"reward": "buy", "negatives": {"window": "all", "every": 0.1}},
    "graph": {"positive": ["buy"], "explicit": ["buy"], "snapshots": {"refresh": 0.1}},
    "split": {"by": "user_fraction", "train_until": 0.8, "valid_until": 0.9},
    "recommend": {
        "core": 2, "top": [5], "dim": 4, "mf": SETTINGS, "lightgcn": SETTINGS, "lightgode": SETTINGS,
    },
}  # fmt: skip


def lists(seed, users=40, items=30, each=8, first=0):
    """Users of two tastes; `each` items from the `first` of the user's own order on."""
    lines = []
    for user in range(users):
        own = np.arange(items // 2) + (user % 2) * (items // 2)
        order = np.random.default_rng([seed, user]).permutation(own)[first : first + each]
        lines.append(" ".join(map(str, [user, *order])))
    return "\n".join(lines) + "\n"


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "lists.txt").write_text(lists(0))
    return described(tmp_path)


def described(folder, logs=DESCRIPTION["interactions"], **recommend):
    path = folder / "dataset.yaml"
    content = DESCRIPTION | {"interactions": logs, "recommend": DESCRIPTION["recommend"] | recommend}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_trained_compared_and_reused(dataset, tmp_path):
    out = tmp_path / "out"
    command = ("recommend", dataset, "--out", out)
    done = succeed(*command, "--models", "mf,lightgode", "--seeds", 2)
    assert "tastes, random shares of each user's items: lists of 5" in " ".join(done.out.split())
    report = json.loads((out / "report.json").read_text())
    assert report["context"]["pairs"] == 320 and report["context"]["has_validation"] is True
    assert list(report["models"]) == ["mf", "lightgode"]
    assert len(report["models"]["mf"]["test"]["ndcg@5"]["values"]) == 2
    assert (out / "discrepancy.png").stat().st_size > 0
    before = fingerprints(out)
    assert set(before) == {f"models/{name}/seed-{seed}" for name in ("mf", "lightgode") for seed in (0, 1)}

    markdown = (out / "report.md").read_bytes()
    again = succeed(*command, "--models", "mf,lightgode", "--seeds", 2).out
    assert again.count("is up to date") == 4
    assert (out / "report.md").read_bytes() == markdown

    grown = succeed(*command, "--models", "mf,mf-conv,directau,lightgcn,lightgode").out
    assert grown.count("is up to date") == 2
    assert before.items() < fingerprints(out).items()
    described(tmp_path, mf=SETTINGS | {"epochs": 2})
    changed = succeed(*command, "--models", "mf,lightgode").out
    assert changed.count("is up to date") == 1
    forced = succeed(*command, "--models", "mf", "--force", "--export", "mf", "--items", 3)
    assert "is up to date" not in forced.out
    assert BatchingParameters.read(out / "export/mf/1/batching_params.pbtxt").pad_variable_length_inputs
    recommend = tf.saved_model.load(str(out / "export/mf/1")).signatures["recommend"]
    assert recommend(user_id=tf.constant([0], tf.int64))["items"].shape == (1, 3)


def test_the_same_seeds_give_the_same_vectors(dataset, tmp_path):
    for out in ("one", "two"):
        succeed("recommend", dataset, "--out", tmp_path / out, "--models", "lightgcn")
    first, second = (np.load(tmp_path / out / "models/lightgcn/seed-0/vectors.npz") for out in ("one", "two"))
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])


def test_fixed_files(tmp_path):
    (tmp_path / "lists.txt").write_text(lists(0))
    (tmp_path / "test.txt").write_text(lists(0, first=8, each=4))
    dataset = described(tmp_path, split="fixed", test_paths="test.txt", valid_share=0)
    out = tmp_path / "out"
    done = succeed("recommend", dataset, "--out", out, "--models", "mf")
    assert "no validation" in " ".join(done.out.split())
    context = json.loads((out / "report.json").read_text())["context"]
    assert (context["pairs_train"], context["pairs_valid"], context["pairs_test"]) == (320, 0, 160)
    history = json.loads((out / "models/mf/seed-0/history.json").read_text())
    assert history["measured_on"] == "test"


def test_without_matplotlib_there_is_no_plot_but_a_warning(dataset, tmp_path, monkeypatch):
    def refused(*_):
        raise recommend_command.E2EGRecError("the plot needs matplotlib")

    monkeypatch.setattr(discrepancy, "plot_discrepancy", refused)
    done = succeed("recommend", dataset, "--out", tmp_path / "out", "--models", "mf")
    assert "warning: the plot needs matplotlib" in done.err
    assert (tmp_path / "out/report.md").exists()


def test_an_export_speaks_text_where_the_log_does(tmp_path):
    numbers = "".join(f"user-{line}\n" for line in lists(0).splitlines())
    named = numbers.replace(" ", " item-")
    (tmp_path / "lists.txt").write_text(named)
    dataset, out = described(tmp_path), tmp_path / "out"
    succeed("recommend", dataset, "--out", out, "--models", "mf", "--export", "mf", "--items", 30)
    signatures = tf.saved_model.load(str(out / "export/mf/1")).signatures
    answer = signatures["recommend"](user_id=tf.constant(["user-0"]))
    own = set(named.splitlines()[0].split()[1:])
    found = set(answer["items"].numpy()[0].astype(str)) - {""}
    assert found == {f"item-{n}" for n in range(30)} - own
    similar = signatures["retrieve"](recent=tf.constant([["item-7"]]), num_recent=tf.constant([1]))
    assert int(similar["num_items"][0]) == 29

    (tmp_path / "songs.txt").write_text(numbers)
    logs = [
        DESCRIPTION["interactions"],
        DESCRIPTION["interactions"] | {"paths": "songs.txt", "domain": "song"},
    ]
    described(tmp_path, logs=logs)
    refuse(
        "recommend", dataset, "--out", tmp_path / "mixed", "--export", "mf", "--models", "mf",
        says=("item ids of one kind", "text in", "lists.txt", "integers in", "songs.txt"),
    )  # fmt: skip


class Interruption(BaseException):
    """As Ctrl-C: no Exception."""


def test_what_was_trained_before_an_interruption_is_kept(dataset, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ("recommend", dataset, "--out", out, "--models", "mf,lightgode")
    really = train.train_recommender

    def interrupted(directory, *rest):
        if directory.parent.name == "lightgode":
            raise Interruption
        return really(directory, *rest)

    monkeypatch.setattr(train, "train_recommender", interrupted)
    with pytest.raises(Interruption):
        e2egrec(*command)
    assert not (out / "report.json").exists()
    monkeypatch.setattr(train, "train_recommender", really)
    assert succeed(*command).out.count("is up to date") == 1


def test_mistakes(dataset, tmp_path):
    out = tmp_path / "out"
    refuse(
        "recommend", dataset, "--out", out, "--models", "mf,gcn", says=("no retrieval model `gcn`", "mf-conv")
    )
    refuse("recommend", dataset, "--out", out, "--models", ",", says=("--models takes mf",))
    refuse("recommend", dataset, "--out", out, "--export", "mfs", says=("--export mfs is not among",))
    described(tmp_path, core=100)
    refuse("recommend", dataset, "--out", out, says=("left to train on", "`recommend.core` 100; lower"))
    described(tmp_path, split="fixed")
    refuse(
        "recommend", dataset, "--out", out, says=("`recommend`: `test_paths` and `split: fixed` go together",)
    )
    described(tmp_path, split="fixed", test_paths="none.txt")
    refuse("recommend", dataset, "--out", out, says=("no file matches", "recommend.test_paths"))
    (tmp_path / "lists.txt").write_text("")
    described(tmp_path)
    refuse("recommend", dataset, "--out", out, says=("is empty",))
    assert not out.exists()

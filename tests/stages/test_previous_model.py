"""`e2egrec train --warm-start`: a run of the next day starts from that of the day before."""

import numpy as np
import pytest

from tests.cli.job import manifest, refuse, rewrite, succeed
from tf_e2egrec.models.warm_start import rows_in
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model

pytestmark = pytest.mark.slow

STANDS_STILL = 1e-12  # a learning rate: what the model ends with is what it started from


@pytest.fixture(scope="module")
def later(data, tmp_path_factory):
    """The description of a day later, and RUN_DIR up to its subgraphs."""
    folder = tmp_path_factory.mktemp("later")

    def change(content):
        days = {"labels_from": "2026-01-07", "train_until": "2026-01-09", "valid_until": "2026-01-10"}
        content["split"].update(days, test_until="2026-01-12")
        rates = {"learning_rate": STANDS_STILL, "embedding_learning_rate": STANDS_STILL, "min_count": 3}
        content["training"].update(rates, models=["R5"])

    description = rewrite(data, change, folder / "later.yaml")
    for stage in ("swing", "subgraphs"):
        succeed(stage, description, "--data", data.parent, "--out", folder / "run")
    return description, folder / "run"


def test_ids_of_both_days_keep_their_rows_and_others_come_and_go(data, job, later):
    description, run = later
    arguments = ["train", description, "--data", data.parent, "--out", run, "--warm-start", job[0]]
    done = succeed(*arguments)
    found, target = manifest(RunDirectory(run).model("R5", 0)), RunDirectory(run).model("R5", 0)
    counts = found.details["warm_start"]
    before = manifest(RunDirectory(job[0]).model("R5", 0))
    assert counts["fingerprint"] == before.fingerprint
    assert all(counts["user"][kind] > 0 for kind in ("kept", "new", "forgotten")), counts
    assert counts["item"]["kept"] > 0 < counts["item"]["new"]
    assert (
        "item ids: {kept:,} kept, {new:,} new, {forgotten:,} forgotten".format(**counts["item"]) in done.out
    )
    new, old = load_model(target), load_model(RunDirectory(job[0]).model("R5", 0))
    keys, old_keys = (model.item_encoder.id_lookup.keys.numpy() for model in (new, old))
    row = rows_in(old_keys, keys)
    ours, theirs = (model.item_encoder.id_embedding.embeddings.numpy() for model in (new, old))
    assert (row > 0).sum() == counts["item"]["kept"]
    np.testing.assert_allclose(ours[1:][row > 0], theirs[row[row > 0]], atol=1e-6)
    np.testing.assert_allclose(new.gnn_input.kernel, old.gnn_input.kernel, atol=1e-6)
    assert int(new.balancer.steps) > int(old.balancer.steps)  # it went on counting
    again = succeed(*arguments)
    assert "up to date" in again.out
    cold = succeed(*arguments[:-2])  # another start is another model
    assert "up to date" not in cold.out
    assert "warm_start" not in manifest(target).details


def test_runs_that_cannot_be_started_from_are_refused(data, job, later, tmp_path):
    description, run = later
    arguments = ["train", description, "--data", data.parent, "--out", run, "--force", "--warm-start"]
    refuse(*arguments, run, says=("which is the run itself; name the run directory of an earlier day",))
    refuse(
        *arguments, tmp_path, says=("holds no finished train output", "e2egrec train --out .* --models R5")
    )

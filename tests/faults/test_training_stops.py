"""`e2egrec train` whose loss explodes stops with the batch's identity, and publishes nothing."""

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.job import rewrite
from tests.faults.chain import BY_NAME, MODEL, Chain
from tests.faults.digests import digests
from tests.faults.tally import BAD_INPUTS, Tally
from tests.faults.warm_process import WarmProcess


@pytest.mark.slow
def test_a_learning_rate_that_is_far_too_high(
    chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally
) -> None:
    stage = BY_NAME["train"]
    run = Path(shutil.copytree(chain.before(stage), tmp_path / "run"))
    wild = rewrite(
        chain.whole,
        lambda content: content["training"].update(learning_rate=1e5, embedding_learning_rate=1e5),
        tmp_path / "wild.yaml",
    )
    before = digests(run / stage.targets[0])
    arguments = ("train", wild, "--data", chain.whole.parent, "--out", run, "--models", MODEL)
    done = warm.command(*arguments, below=run, **stage.options)
    tally.count(BAD_INPUTS)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    said = done.err.splitlines()[-1]
    assert re.search(
        rf"the loss of {MODEL} seed 0 is \S+ at epoch 1, step \d+ \(128 impressions, digest [0-9a-f]{{16}}",
        said,
    )
    assert "lower `training.learning_rate`" in said
    assert digests(run / stage.targets[0]) == before  # of a former night

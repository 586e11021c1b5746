"""`e2egrec train` whose loss explodes, or too often is not finite, stops with the batch's identity, and publishes nothing."""

import re
import shutil
from pathlib import Path

import pytest

from tests.cli.job import rewrite
from tests.faults.chain import BY_NAME, MODEL, Chain
from tests.faults.digests import digests
from tests.faults.tally import BAD_INPUTS, Tally
from tests.faults.warm_process import Ended, WarmProcess

BATCH = r"\(128 impressions, digest [0-9a-f]{16}"


def train(chain: Chain, warm: WarmProcess, folder: Path, **training: float) -> Ended:
    """Train with other settings where a former night's model stands, which has to stay."""
    stage = BY_NAME["train"]
    run = Path(shutil.copytree(chain.before(stage), folder / "run"))
    wild = rewrite(chain.whole, lambda content: content["training"].update(training), folder / "wild.yaml")
    before = digests(run / stage.targets[0])
    arguments = ("train", wild, "--data", chain.whole.parent, "--out", run, "--models", MODEL)
    done = warm.command(*arguments, below=run, **stage.options)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert digests(run / stage.targets[0]) == before
    return done


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_a_learning_rate_that_is_far_too_high(
    chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally
) -> None:
    done = train(chain, warm, tmp_path, learning_rate=1e5, embedding_learning_rate=1e5)
    tally.count(BAD_INPUTS)
    said = done.err.splitlines()[-1]
    assert re.search(rf"the loss of {MODEL} seed 0 is \S+ at epoch 1, step \d+ {BATCH}", said)
    assert "lower `training.learning_rate`" in said


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_more_bad_batches_than_may_be_left_out(
    chain: Chain, warm: WarmProcess, tmp_path: Path, tally: Tally
) -> None:
    """The first step makes the weights so large that no step after it is finite."""
    done = train(chain, warm, tmp_path, learning_rate=1e30, embedding_learning_rate=1e30, skip_bad_batches=1)
    tally.count(BAD_INPUTS)
    said = done.err.splitlines()[-1]
    assert f"{MODEL} seed 0 has met 2 bad batches, one more than `training.skip_bad_batches` allows" in said
    culprit = "(the loss|the gradient of `[^`]+`) is not finite"
    assert re.search(rf"the last at epoch 1, step 3 {BATCH}.*: {culprit}; the last checkpoint", said), said
    assert re.search(rf"warning: {MODEL} seed 0 leaves out epoch 1, step 2 {BATCH}", done.out + done.err)

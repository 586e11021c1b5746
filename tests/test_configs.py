"""The description files of `configs/`: each is one, says how it is run, and the two regimes of one log differ in the regime alone."""

from pathlib import Path

import pytest

from tf_e2egrec.dataset.description import load_description

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_config_is_a_description_that_says_how_it_is_run(file):
    assert load_description(file).name == file.stem
    head = [line for line in file.read_text(encoding="utf-8").split("\n") if line.startswith("#")]
    assert any(
        f"e2egrec run configs/{file.name}" in line or f"configs/{file.name} --data" in line for line in head
    )


def test_the_regimes_of_the_news_differ_in_nothing_else():
    cross, equal, six = (
        load_description(CONFIGS / f"{name}.yaml").model_dump(exclude={"name"})
        for name in ("globo", "globo-equal", "globo-six-days")
    )
    assert (cross["graph"].pop("regime"), equal["graph"].pop("regime")) == ("cross-domain", "equal")
    assert cross == equal
    del cross["split"], six["split"], six["graph"]["regime"]
    assert cross == six


def test_the_published_training_of_gowalla_differs_in_nothing_but_lightgcn_s():
    quick, published = (load_description(CONFIGS / f"{name}.yaml") for name in ("gowalla", "gowalla-bpr"))
    assert quick.model_dump(exclude={"name"}) == published.model_dump(exclude={"name"})
    without = {"lightgcn"}
    assert quick.recommend.model_dump(exclude=without) == published.recommend.model_dump(exclude=without)
    assert (quick.recommend.lightgcn.loss, published.recommend.lightgcn.loss) == ("softmax", "bpr")

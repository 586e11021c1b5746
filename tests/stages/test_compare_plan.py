import pytest

from tests.toy_data import DESCRIPTION
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.compare import planned_runs
from tf_e2egrec.stages.compare_plan import DEFAULT_MODELS, compared_models, edges_of, write_description


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text("# a comment\n" + DESCRIPTION)
    return path


def test_models_by_default_once_each_and_known():
    assert compared_models(None) == list(DEFAULT_MODELS)
    assert compared_models(" R5,R0, R5 ,") == ["R5", "R0"]
    with pytest.raises(E2EGRecError, match="there is no model `R9`; choose from R0, R1"):
        compared_models("R0,R9")
    with pytest.raises(E2EGRecError, match="no model is named"):
        compared_models(",")


def test_each_model_has_its_graph_and_those_without_share_one(file, tmp_path):
    description = load_description(file)
    models = ("R0", "R1", "R2b", "R5", "R5-random-graph", "R5-cooccurrence")
    assert [edges_of(model, description) for model in models] == ["swing"] * 4 + ["random", "co-occurrence"]
    write_description(file, "random", tmp_path / "random.yaml")
    random = load_description(tmp_path / "random.yaml")
    assert (
        edges_of("R0", random) == "random"
    )  # which graph lies beside a model that sees none is all the same
    assert edges_of("R5", random) == "swing"


def test_only_the_edges_of_a_description_change(file, tmp_path):
    before = load_description(file).model_dump()
    target = tmp_path / "deep" / "random.yaml"
    write_description(file, "random", target)
    after = load_description(target).model_dump()
    assert after["graph"].pop("edges") == "random"
    assert before["graph"].pop("edges") == "swing"
    assert after == before
    write_description(file, "swing", tmp_path / "same.yaml")
    assert (tmp_path / "same.yaml").read_text() == file.read_text()
    made = target.stat().st_mtime_ns
    write_description(file, "random", target)
    assert target.stat().st_mtime_ns == made
    assert [path.name for path in target.parent.iterdir()] == ["random.yaml"]


def test_a_seed_of_all_models_comes_before_the_next_seed(file):
    runs = planned_runs(load_description(file), ["R0", "R5"], 2)
    assert [(run.model, run.seed) for run in runs] == [("R0", 0), ("R5", 0), ("R0", 1), ("R5", 1)]

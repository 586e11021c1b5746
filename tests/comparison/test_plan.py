import pytest

from tests.toy_data import DESCRIPTION
from tf_e2egrec.comparison.compare import planned_runs
from tf_e2egrec.comparison.plan import (
    DEFAULT_MODELS,
    compared_models,
    edges_of,
    graph_of,
    meaning_of,
    with_protocol,
    write_description,
)
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.compared_model import ComparedModel


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text("# a comment\n" + DESCRIPTION)
    return path


def texts(models):
    return [model.text for model in models]


def test_models_by_default_once_each_and_known(file):
    description = load_description(file)
    assert texts(compared_models(None, description)) == list(DEFAULT_MODELS)
    assert texts(compared_models(" R5,R0, R5 ,", description)) == ["R5", "R0"]
    with pytest.raises(E2EGRecError, match="there is no model `R9`; choose from R0, R1"):
        compared_models("R0,R9", description)
    with pytest.raises(E2EGRecError, match="no model is named"):
        compared_models(",", description)
    with pytest.raises(E2EGRecError, match=r"R5@model.dm=3`: unknown key `model.dm`; did you mean `dim`"):
        compared_models("R0,R5@model.dm=3", description)


def test_the_description_names_models_that_the_option_overrides(file):
    section = "comparison: {models: [R1, R5@graph.sampling.fanout=2, R1]}\n"
    file.write_text(file.read_text() + section)
    description = load_description(file)
    assert texts(compared_models(None, description)) == ["R1", "R5@graph.sampling.fanout=2"]
    assert texts(compared_models("R0", description)) == ["R0"]


def test_models_that_need_the_same_graph_share_it(file):
    description = load_description(file)

    def graph(text):
        return graph_of(ComparedModel.parse(text), description)

    assert graph("R0") == graph("R5@training.epochs=4+model.dim=16") == "swing"
    assert graph("R5-random-graph@training.ssl_prior=1") == "random"
    fewer = graph("R5@graph.sampling.fanout=2")
    assert fewer.startswith("swing-")
    assert (
        fewer == graph("R3@training.epochs=9+graph.sampling.fanout=2") != graph("R5@graph.sampling.fanout=1")
    )
    assert graph("R5-random-graph@graph.sampling.fanout=2") == fewer.replace("swing", "random")
    assert graph("R5@graph.sampling.fanout=3") == "swing"  # as the description has it


def test_a_graphs_description_says_its_settings_and_has_no_others(file, tmp_path):
    description, target = load_description(file), tmp_path / "own.yaml"
    model = ComparedModel.parse(
        "R5-random-graph@graph.sampling.fanout=2+graph.snapshots.window=3d+training.epochs=9"
    )
    write_description(file, "random", target, model.own_graph(description))
    first = target.read_text().split("\n")[0]
    assert (
        first
        == "# toy.yaml with `graph.sampling.fanout: 2`, `graph.snapshots.window: 3d`, `graph.edges: random`"
    )
    made = load_description(target)
    assert made.training == description.training  # which the trained model changes, not the graph
    assert made.graph == model.described(description).graph.model_copy(update={"edges": "random"})
    assert model.described(made).training.epochs == 9


def test_a_comparison_may_have_a_protocol_of_its_own(file, tmp_path):
    description = load_description(file)
    assert with_protocol(description, None) is description
    rolling = with_protocol(description, "rolling")
    assert (description.evaluation.protocol, rolling.evaluation.protocol) == ("frozen", "rolling")
    for protocol in ("frozen", "rolling"):
        target = tmp_path / f"{protocol}.yaml"
        write_description(file, "swing", target, protocol=protocol)
        assert load_description(target).model_dump() == with_protocol(description, protocol).model_dump()
    assert (tmp_path / "frozen.yaml").read_text() == file.read_text()
    with pytest.raises(E2EGRecError, match=r"must be one of frozen, rolling\. Received: daily"):
        with_protocol(description, "daily")


def test_reports_say_what_a_model_is():
    tuned = ComparedModel.parse("R0@training.epochs=4+model.dim=16")
    assert meaning_of("R0", tuned) == "R0: ranker without graph (training.epochs=4, model.dim=16)"
    assert meaning_of("R0", ComparedModel.parse("R0")) == "R0: ranker without graph"


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
    models = {"R0": ComparedModel.parse("R0@training.epochs=4"), "R5": ComparedModel.parse("R5")}
    runs = planned_runs(load_description(file), models, 2)
    assert [(run.label, run.seed) for run in runs] == [("R0", 0), ("R5", 0), ("R0", 1), ("R5", 1)]
    assert [(run.model, run.graph) for run in runs[:2]] == [
        ("R0@training.epochs=4", "swing"),
        ("R5", "swing"),
    ]

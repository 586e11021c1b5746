import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toy_data import DESCRIPTION, toy_description
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.compared_model import ComparedModel, file_name, model_of, split_models, yaml_text

D = toy_description()


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("R5", {}),
        (" R5@graph.sampling.fanout=5 ", {"graph.sampling.fanout": 5}),
        ("R5@graph.swing.beta=0+training.epochs = 2", {"graph.swing.beta": 0, "training.epochs": 2}),
        ("R5@model.fusion=gate+attention", {"model.fusion": "gate+attention"}),
        ("R5@model.layer_weights=[0.9, 0.1]+model.dim=16", {"model.layer_weights": [0.9, 0.1], "model.dim": 16}),
        ("R5@graph.rows=[{users_share: 0.5}]", {"graph.rows": [{"users_share": 0.5}]}),
        ("R0@model.stay_loss=d2q", {"model.stay_loss": "d2q"}),
    ],
)  # fmt: skip
def test_texts_are_read(text, overrides):
    model = ComparedModel.parse(text)
    assert (model.text, model.variant) == (text.strip(), text.strip().partition("@")[0])
    assert model.overrides == overrides


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("R9@training.epochs=2", "^there is no model `R9`; choose from R0"),
        ("R5@", "^the model `R5@`: `` should be KEY=VALUE, as in R5@training.epochs=2$"),
        ("R5@training.epochs", "`training.epochs` should be KEY=VALUE"),
        ("R5@training.epochs=", "should be KEY=VALUE"),
        ("R5@training.epochs=1+training.epochs=2", "`training.epochs` is set twice"),
        ("R5@model.layer_weights=[1", r"the value of `model.layer_weights` is not valid YAML. Received: \[1$"),
        ("R5@graph.edges=random", "follows from the model's name; name one of R5-random-graph"),
        ("R5@training=3", "`training` is more than one key"),
        ("R5@graph.sampling={fanout: 3}", "`graph.sampling` is more than one key"),
        ("R5@model.fusion=" + "x" * 200, "too many settings for a file name"),
        *(
            (f"R5@{key}=1", f"^the model `R5@{key}=1`: `{key}` would change .* same for all models; set it in the")
            for key in (
                "split.train_until", "interactions", "interactions.0.user", "seed", "bad_rows", "ranker.rows", "ranker.reward",
                "ranker.negatives.per_positive", "name", "items", "users", "evaluation.protocol",
            )
        ),
        *((f"R5@{key}=1", "has no part in") for key in ("training.models", "graph.node_sets", "comparison.models")),
    ],
)  # fmt: skip
def test_what_cannot_be_a_model_is_one_sentence(text, says):
    with pytest.raises(E2EGRecError, match=says):
        ComparedModel.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "R5@graph.sampling.fanot=5",
            "unknown key `graph.sampling.fanot`; did you mean `fanout`\\? valid keys",
        ),
        ("R5@trainng.epochs=5", "unknown key `trainng`; did you mean `training`\\?"),
        ("R5@training.epochs.more=5", "`training.epochs` has no keys, so there is no `training.epochs.more`"),
        (
            "R5@training.epochs=0",
            "`training.epochs`: input should be greater than or equal to 1. Received: 0",
        ),
        ("R5@training.resample=step", "`training.resample: step` draws neighbours from a table"),
        ("R5@evaluation.update_every=soon", "`evaluation.update_every` must be a duration"),
    ],
)
def test_wrong_keys_and_values_name_the_model(text, says):
    with pytest.raises(E2EGRecError, match=f"^the model `{text}`: {says}"):
        ComparedModel.parse(text).described(D)


def test_only_what_is_set_changes():
    assert ComparedModel.parse("R5").described(D) is D
    made = ComparedModel.parse("R5@graph.sampling.fanout=7+training.learning_rate=1e-3").described(
        D.with_data_root("/logs")
    )
    assert (made.graph.sampling.fanout, made.training.learning_rate) == (7, 0.001)
    assert made.data_root == "/logs"
    sampling = made.graph.sampling.model_copy(update={"fanout": D.graph.sampling.fanout})
    assert made.graph.model_copy(update={"sampling": sampling}) == D.graph
    same = ("interactions", "items", "users", "ranker", "split", "model", "evaluation", "seed")
    assert all(getattr(made, name) == getattr(D, name) for name in same)


def test_moments_and_aliases_survive():
    text = DESCRIPTION.replace("2024-01-03,", "2024-01-03T06:00:00+02:00,").replace(
        "ranker: {", "ranker: {rows: [{column: device, in: [a, 2]}], "
    )
    description = parse_description(text, "toy.yaml")
    made = ComparedModel.parse("R5@training.epochs=9").described(description)
    assert (made.split, made.ranker) == (description.split, description.ranker)
    assert isinstance(made.split.train_until, datetime.datetime)


def test_which_settings_need_a_graph_of_their_own():
    def own(text):
        return ComparedModel.parse(text).own_graph(D)

    assert own("R5") == {}
    shared = "R5@training.epochs=9+model.dim=16+evaluation.update_every=1h"
    assert own(shared) == {}
    assert own("R5@graph.sampling.fanout=3") == {}  # as the description has it
    assert own(f"{shared}+graph.sampling.fanout=5") == {"graph.sampling.fanout": 5}
    assert own("R5@graph.swing.beta=0") == own("R3@graph.swing.beta=0.0") == {"graph.swing.beta": 0.0}
    assert own("R5@ranker.derived=[item_age]") == {"ranker.derived": ["item_age"]}


def test_settings_that_change_nothing_leave_no_trace():
    model = ComparedModel.parse("R5@graph.swing.beta=0")
    rate = D.training.learning_rate
    assert model.with_settings({"training.learning_rate": rate}, D) == model
    made = model.with_settings({"training.learning_rate": "1e-3", "training.epochs": 9}, D)
    assert made.text == "R5@graph.swing.beta=0+training.epochs=9+training.learning_rate=0.001"
    assert made.settings_of(D, {"training.learning_rate": None}) == {"training.learning_rate": 0.001}
    with pytest.raises(E2EGRecError, match=r"unknown key `training.rate`"):
        model.with_settings({"training.rate": 1}, D)


def test_commas_within_brackets_part_no_models():
    assert split_models("R0,,R5@model.layer_weights=[0.9,0.1]+model.dim=8, R3,") == [
        "R0",
        "R5@model.layer_weights=[0.9,0.1]+model.dim=8",
        "R3",
    ]
    assert split_models(" , ") == []


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_file_names_hold_any_text(text):
    name = file_name(text)
    assert model_of(name) == text
    assert not set(name) & set("/[]*? \0")


def test_plain_models_have_the_files_they_always_had(tmp_path):
    """A comparison that an earlier version began goes on."""
    directory = CompareDirectory(tmp_path)
    assert directory.predictions("R5-random-graph", 2) == tmp_path / "predictions/R5-random-graph/seed-2"
    assert directory.trained("random", "R5", 2) == tmp_path / "graphs/random/models/R5/seed-2"
    assert directory.costs("R2b", 0) == tmp_path / "costs/R2b-seed-0.json"
    assert directory.log("R0", 1) == tmp_path / "logs/R0-seed-1.log"
    assert (
        file_name("R5@graph.sampling.fanout=5+training.epochs=2")
        == "R5@graph.sampling.fanout=5+training.epochs=2"
    )


@given(
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.lists(st.floats(0, 1), max_size=3))
)
def test_values_are_written_as_they_are_read(value):
    text = yaml_text(value)
    assert "\n" not in text
    assert ComparedModel.parse(f"R5@training.x={text}").overrides == {"training.x": value}

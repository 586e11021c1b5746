import pytest
from pydantic import ValidationError

from tests.toy_data import DESCRIPTION
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.description.comparison_spec import ComparisonSpec

SECTION = """
comparison:
  models: [R0, R5@graph.sampling.fanout=5]
  tuning: {training.learning_rate: [0.001, 3e-3], model.layer_weights: [[0.5, 0.5], [0.9, 0.1]], model.fusion: [gate]}
"""


def test_values_keep_their_kind():
    spec = parse_description(DESCRIPTION + SECTION, "toy.yaml").comparison
    assert spec.models == ["R0", "R5@graph.sampling.fanout=5"]
    assert spec.tuning["training.learning_rate"] == [0.001, "3e-3"]  # YAML 1.1 reads 3e-3 as text
    assert spec.tuning["model.layer_weights"] == [[0.5, 0.5], [0.9, 0.1]]
    assert type(ComparisonSpec(tuning={"training.epochs": [1, 2]}).tuning["training.epochs"][0]) is int


def test_no_dump_and_so_no_fingerprint_knows_of_it():
    plain = parse_description(DESCRIPTION, "toy.yaml")
    assert parse_description(DESCRIPTION + SECTION, "toy.yaml").model_dump() == plain.model_dump()


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        (
            {"graph.swing.beta": [0, 1]},
            "`graph.swing.beta` cannot be tuned: only keys of `training` and `model` can",
        ),
        ({"training": [1]}, "`training` cannot be tuned"),
        ({"training.epochs": []}, "gives `training.epochs` no value to try"),
    ],
)
def test_mistakes(tuning, says):
    with pytest.raises(ValidationError, match=says):
        ComparisonSpec(tuning=tuning)

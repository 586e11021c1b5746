import pytest
from pydantic import ValidationError

from tf_e2egrec.dataset.description.light_gcn_spec import LightGCNSpec


def test_one_weight_of_the_embeddings_and_one_of_each_layer():
    assert LightGCNSpec(layers=3).layer_weights is None
    assert LightGCNSpec(layers=2, layer_weights=[0, 0.5, 0.5]).layer_weights == [0.0, 0.5, 0.5]
    assert LightGCNSpec(layers=2, layer_weights=[1 / 3] * 3).layer_weights == [1 / 3] * 3


@pytest.mark.parametrize(
    "weights", [[], [0.5, 0.5], [0.5, 0.5, 0.5], [-0.5, 0.5, 1.0], [float("nan"), 0.5, 0.5], [0.2] * 5]
)
def test_other_weights_are_refused_with_what_is_needed(weights):
    with pytest.raises(ValidationError, match="layer_weights: 3 numbers are needed, one of the embeddings"):
        LightGCNSpec(layers=2, layer_weights=weights)

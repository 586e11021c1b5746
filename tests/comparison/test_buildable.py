import pytest

from tests.toy_data import toy_description
from tf_e2egrec.comparison.buildable import require_buildable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models.variant import VARIANTS
from tf_e2egrec.stages.compared_model import ComparedModel


@pytest.mark.parametrize("text", [*VARIANTS, "R5@model.dim=16+model.heads=4", "R5@model.ssl_loss=raw_sg"])
def test_every_model_of_a_sound_description_can_be_built(text):
    require_buildable(ComparedModel.parse(text), toy_description())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("R5-gate-attention@model.heads=3", "`heads` should divide `dim`. Received: dim=8, heads=3"),
        ("R5@model.layer_weights=[0.9,0.3]", "`layer_weights` should be two numbers that sum to 1"),
    ],
)
def test_what_a_layer_refuses_is_one_sentence(text, says):
    with pytest.raises(E2EGRecError) as error:
        require_buildable(ComparedModel.parse(text), toy_description())
    assert str(error.value).startswith(f"the model `{text}`: {says}")

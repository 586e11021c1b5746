"""The model and the rows of the comparison."""

from tf_e2egrec.models.e2egrec import E2EGRec
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.models.variant import VARIANTS, Variant, variant_named

__all__ = ["VARIANTS", "E2EGRec", "ModelInputs", "Variant", "variant_named"]

"""The model and the rows of the comparison.

The names are loaded when they are first used: those of the rows are wanted by commands that need no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_e2egrec.models.e2egrec import E2EGRec
    from tf_e2egrec.models.model_inputs import ModelInputs
    from tf_e2egrec.models.model_size import parameter_counts
    from tf_e2egrec.models.variant import VARIANTS, Variant, variant_named

_HOME_OF = {
    "VARIANTS": "variant",
    "E2EGRec": "e2egrec",
    "ModelInputs": "model_inputs",
    "Variant": "variant",
    "parameter_counts": "model_size",
    "variant_named": "variant",
}

__all__ = ["VARIANTS", "E2EGRec", "ModelInputs", "Variant", "parameter_counts", "variant_named"]


def __getattr__(name: str) -> Any:
    """Load a name from the module it lives in."""
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")

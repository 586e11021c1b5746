"""Whether a model can be built with its settings, before anything is computed for it."""

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
from tf_e2egrec.stages.compared_model import ComparedModel


def require_buildable(model: ComparedModel, description: DatasetDescription) -> None:
    """Build the model for the smallest vocabularies, and forget it.

    Args:
      model: with its settings.
      description: as the user gave it.

    Raises:
      E2EGRecError: a layer refuses its arguments.
    """
    own = model.described(description)
    groups = {"item": own.item_features, "user": own.user_features, "context": own.context_features}
    sizes = {
        group: {feature.name: 1 for feature in features if feature.type == "categorical"}
        for group, features in groups.items()
    }
    inputs = ModelInputs.from_description(own, 1, 1, sizes)
    try:
        E2EGRec(inputs, own.model, variant_named(model.variant))
    except ValueError as error:
        raise E2EGRecError(f"the model `{model.text}`: {error}") from None
    finally:
        tf.keras.backend.clear_session()

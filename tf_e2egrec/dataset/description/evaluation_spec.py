"""`EvaluationSpec`: how the test days are met."""

from typing import Literal

from tf_e2egrec.dataset.description.strict_model import StrictModel


class EvaluationSpec(StrictModel):
    """How a trained model meets the test split.

    Attributes:
      protocol: `frozen`: one model predicts every test day. `rolling`: test, then train, in time order: the model
        trains on the validation days, predicts the first test day, trains on it, and so on; new ids get rows of
        their own. Data that moves fast is served that way.
    """

    protocol: Literal["frozen", "rolling"] = "frozen"

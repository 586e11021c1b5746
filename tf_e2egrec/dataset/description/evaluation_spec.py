"""`EvaluationSpec`: how the test days are met."""

from typing import Literal

from tf_e2egrec.dataset.description.strict_model import StrictModel


class EvaluationSpec(StrictModel):
    """How a trained model meets the test split.

    Attributes:
      protocol: `frozen`: one model predicts every test day. `rolling`: test, then train, in time order, first
        through the validation split and then through the test split; new ids get rows of their own. Data that
        moves fast is served that way.
      update_every: how often a rolling model learns: `1h`, `1d` (the default); a fraction for `unit: rank`, where
        the default is once after each split.
    """

    protocol: Literal["frozen", "rolling"] = "frozen"
    update_every: str | float | None = None

"""`DivergedTrainingError`: a loss that is no number any more."""

from tf_e2egrec.errors import E2EGRecError


class DivergedTrainingError(E2EGRecError):
    """A training whose loss is not finite, or explodes: a setting that tuning leaves out rather than stop at."""

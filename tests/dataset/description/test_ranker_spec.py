import pytest
from pydantic import ValidationError

from tf_e2egrec.dataset.description.ranker_spec import RankerSpec

DERIVED = ["hour_of_day", "reward_rate", "recent_count", "recent_reward_rate"]


def test_a_request_gives_the_rates_itself():
    assert RankerSpec(reward="like", derived=DERIVED).computed_from_request == ["hour_of_day", "recent_count"]


def test_rates_need_a_log_of_exposures():
    with pytest.raises(ValidationError, match="`derived: reward_rate` needs a log of exposures"):
        RankerSpec.model_validate({"reward": "click", "derived": DERIVED, "negatives": {}})

from pathlib import Path

import pytest

from serving.rollout.rollout_history import RolloutHistory
from tf_e2egrec.errors import E2EGRecError


def test_the_last_promotion_to_the_stable_version_counts(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    history = RolloutHistory(config)
    assert history.previous("m", 1) is None
    history.record("m", 1, 2)
    history.record("m", 2, 3)
    history.record("other", 7, 8)
    again = RolloutHistory(config)
    assert [again.previous("m", stable) for stable in (1, 2, 3)] == [None, 1, 2]
    assert again.previous("other", 8) == 7
    again.record("m", 2, 4)  # 3 was rolled back
    assert [again.previous("m", stable) for stable in (2, 3, 4)] == [1, None, 2]
    again.record("m", 1, 5)  # and so was 2
    assert [again.previous("m", stable) for stable in (2, 4, 5)] == [None, None, 1]
    for content in ("{", "[]", '{"m": [{"from": 1}]}', '{"m": 3}'):
        history.path.write_text(content)
        with pytest.raises(E2EGRecError, match=r"history\.json is damaged"):
            RolloutHistory(config)

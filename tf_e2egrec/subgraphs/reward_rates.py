"""How often a user's earlier impressions earned the reward."""

import numpy as np


def reward_rates(
    user: np.ndarray,
    time: np.ndarray,
    is_shown: np.ndarray,
    is_rewarded: np.ndarray,
    rows: np.ndarray,
    last: int | None = None,
) -> np.ndarray:
    """Share of rewards among the impressions of the same user that are strictly older, by Laplace's rule.

    ``(rewards + 1) / (impressions + 2)``, so that a user without a past has 1/2 and no other row is looked at.

    Args:
      user, time: int64 [n], ordered by (user, time).
      is_shown: bool [n], the rows that are impressions.
      is_rewarded: bool [n].
      rows: int64 [m], the rows that want to know.
      last: only the `last` most recent older impressions count; all of them when absent.

    Returns:
      float32 [m].
    """
    shown = np.flatnonzero(is_shown)
    earned = np.r_[0, np.cumsum(is_rewarded[shown])]
    new_user = np.r_[True, user[1:] != user[:-1]] if len(user) else np.zeros(0, bool)
    new_moment = new_user | np.r_[True, time[1:] != time[:-1]] if len(user) else new_user
    position = np.arange(len(user))
    # From which row on the user's rows, and those of the same moment, begin.
    first_of_user = np.maximum.accumulate(np.where(new_user, position, 0))[rows]
    first_of_moment = np.maximum.accumulate(np.where(new_moment, position, 0))[rows]
    begin, end = np.searchsorted(shown, first_of_user), np.searchsorted(shown, first_of_moment)
    if last is not None:
        begin = np.maximum(begin, end - last)
    return ((earned[end] - earned[begin] + 1.0) / (end - begin + 2.0)).astype(np.float32)

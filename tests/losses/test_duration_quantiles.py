import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.losses import (
    DurationQuantiles,
    d2q_loss,
    d2q_to_seconds,
    fit_duration_quantiles,
    quantile_of,
    seconds_at,
)


def watched(rows=3000, seed=0):
    """Stays that grow with the duration, with atoms at zero and at the content's end."""
    rng = np.random.default_rng(seed)
    duration = np.exp(rng.normal(3, 1, rows)).astype("f4")
    share = np.clip(rng.normal(0.5, 0.4, rows), 0, 1)
    return (share * duration).astype("f4"), duration


def test_groups_are_of_equal_frequency_and_hold_their_own_quantiles():
    stay, duration = watched()
    table = fit_duration_quantiles(stay, duration, groups=10, quantiles=21)
    assert table.edges.shape == (9,)
    assert table.seconds.shape == (11, 21)
    assert (np.diff(table.edges) > 0).all()
    group = np.searchsorted(table.edges, duration, side="right")
    np.testing.assert_allclose(np.bincount(group), 300, atol=3)
    grid = np.linspace(0, 1, 21)
    np.testing.assert_allclose(table.seconds[0], np.quantile(stay, grid), rtol=1e-5)
    for number in range(10):
        expected = np.quantile(stay[group == number], grid)
        np.testing.assert_allclose(table.seconds[1 + number], expected, rtol=1e-5)


def test_within_a_group_the_label_is_the_empirical_rank():
    stay, duration = watched()
    table = fit_duration_quantiles(stay, duration, groups=5, quantiles=101)
    quantile = quantile_of(tf.constant(stay), tf.constant(duration), table).numpy()
    group = np.searchsorted(table.edges, duration, side="right")
    for number in range(5):
        mine = stay[group == number]
        rank = [((mine < value).mean() + (mine <= value).mean()) / 2 for value in mine]
        np.testing.assert_allclose(quantile[group == number], rank, atol=0.012)
        assert quantile[group == number].mean() == pytest.approx(0.5, abs=0.02)
    before, after = (np.corrcoef(duration, value)[0, 1] for value in (stay, quantile))
    assert before > 0.6  # long contents are watched longer:
    assert abs(after) < 0.2  # that is what D2Q takes out


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0, 500, width=32), min_size=2, max_size=30),
    st.lists(st.floats(0, 500, width=32), min_size=1, max_size=10),
)
def test_seconds_survive_the_round_trip_within_the_table(points, values):
    table = DurationQuantiles(np.zeros(0, "f4"), np.sort(np.float32([points, points]), axis=1))
    seconds = tf.constant(np.clip(np.float32(values), min(points), max(points)))
    unknown = tf.fill(seconds.shape, np.float32(np.nan))
    quantile = quantile_of(seconds, unknown, table)
    back = seconds_at(quantile, unknown, table).numpy()
    np.testing.assert_allclose(back, seconds, rtol=1e-3, atol=2e-2)


def test_quantiles_survive_the_round_trip_where_the_watch_times_are_distinct():
    stay = np.random.default_rng(0).random(500).astype("f4") * 60
    table = fit_duration_quantiles(stay, np.full(500, 9.0), groups=1)
    quantile = np.linspace(0, 1, 40).astype("f4")
    duration = tf.fill(40, 9.0)
    back = quantile_of(seconds_at(quantile, duration, table), duration, table)
    np.testing.assert_allclose(back, quantile, atol=1e-4)
    np.testing.assert_allclose(seconds_at(quantile, duration, table), np.quantile(stay, quantile), atol=0.3)


def test_a_shared_watch_time_is_the_middle_of_its_quantiles():
    stay = np.r_[np.zeros(40), np.linspace(1, 2, 60)].astype("f4")
    table = fit_duration_quantiles(stay, np.full(100, 5.0))
    duration = tf.constant([5.0])
    assert float(quantile_of(tf.constant([0.0]), duration, table)[0]) == pytest.approx(0.2, abs=0.01)
    assert float(seconds_at(tf.constant([0.3]), duration, table)[0]) == 0.0


def test_unknown_durations_use_the_pooled_table():
    stay, duration = watched()
    duration[::2] = np.nan
    table = fit_duration_quantiles(stay, duration, groups=4)
    np.testing.assert_allclose(table.seconds[0], np.quantile(stay, np.linspace(0, 1, 101)), rtol=1e-5)
    known = duration[1::2]
    group = np.searchsorted(table.edges, known, side="right")
    np.testing.assert_allclose(
        table.seconds[1], np.quantile(stay[1::2][group == 0], np.linspace(0, 1, 101)), rtol=1e-5
    )
    result = seconds_at(tf.constant([0.5]), tf.constant([np.nan]), table)
    assert float(result[0]) == pytest.approx(np.median(stay), rel=1e-4)


def test_few_rows_repeated_durations_and_no_labels():
    few = fit_duration_quantiles(np.arange(60.0), np.arange(60.0))
    assert np.isinf(few.edges).all()  # fewer than two groups of 50
    np.testing.assert_allclose(few.seconds[0], few.seconds[1])
    two = fit_duration_quantiles(np.arange(400.0), np.repeat([7.0, 90.0], [390, 10]), groups=4)
    assert two.edges[np.isfinite(two.edges)].tolist() == []  # a tenth of a group is none
    none = fit_duration_quantiles(np.full(3, np.nan), np.ones(3))
    assert np.isfinite(none.seconds).all()
    unknown = fit_duration_quantiles(np.arange(10.0), np.full(10, np.nan))
    assert np.isfinite(unknown.seconds).all()


def test_loss_is_the_squared_error_of_the_quantile():
    stay, duration = watched(40)
    stay[::5] = np.nan
    table = fit_duration_quantiles(*watched(2000, 1), groups=6)
    output = np.random.default_rng(2).normal(size=40).astype("f4")
    present = np.isfinite(stay)
    label = quantile_of(tf.constant(stay[present]), tf.constant(duration[present]), table).numpy()
    predicted = 1 / (1 + np.exp(-output))
    variable = tf.Variable(output)
    with tf.GradientTape() as tape:
        loss = d2q_loss(tf.constant(stay), variable, tf.constant(duration), table)
    assert float(loss) == pytest.approx(np.square(predicted[present] - label).mean(), rel=1e-4)
    gradient = tape.gradient(loss, variable).numpy()
    expected = np.zeros(40)
    difference = predicted[present] - label
    expected[present] = 2 * difference * (predicted * (1 - predicted))[present] / present.sum()
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    assert float(d2q_loss(tf.fill(3, np.nan), tf.zeros(3), tf.ones(3), table)) == 0


def test_trained_on_one_group_it_predicts_that_groups_watch_times():
    """The inverse takes the candidate's own duration: the same output means more seconds of a longer content."""
    table = fit_duration_quantiles(*watched(), groups=6)
    durations = np.float32([2, 10, 20, 40, 200])
    seconds = d2q_to_seconds(tf.zeros(5), tf.constant(durations), table).numpy()
    assert (np.diff(seconds) > 0).all()
    group = np.searchsorted(table.edges, durations, side="right")
    np.testing.assert_allclose(seconds, table.seconds[1 + group, 50], rtol=1e-5)


@pytest.mark.parametrize("duration", [0.0, 1e9])
def test_durations_beyond_the_table_fall_into_the_outer_groups(duration):
    table = fit_duration_quantiles(*watched(), groups=6)
    row = 1 if duration == 0 else 6
    result = seconds_at(tf.constant([1.0]), tf.constant([duration]), table)
    assert float(result[0]) == pytest.approx(table.seconds[row, -1], rel=1e-5)

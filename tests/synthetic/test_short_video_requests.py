import dataclasses
import datetime
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, generate_short_video, write_short_video
from tf_e2egrec.synthetic.short_video_simulation import exposure_weights
from tf_e2egrec.synthetic.short_video_world import build_world

DAY = 86_400_000
FIRST_ID = 1_000_001
SIZE = 10
CONFIG = ShortVideoConfig(
    users=2_000, videos=400, days=6, impressions=40_000, seed=3, request_candidates=SIZE
)
TINY = ShortVideoConfig(users=100, videos=100, days=5, impressions=1_400, request_candidates=4)


def columns(table):
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.fixture(scope="module")
def log():
    return generate_short_video(CONFIG, truth=True)["interactions"]


@pytest.fixture(scope="module")
def days(log):
    """(rows of the former days, rows of the requests)."""
    is_request = log["time_ms"].to_numpy() >= CONFIG.start_ms + (CONFIG.days - 1) * DAY
    return columns(log.filter(pa.array(~is_request))), columns(log.filter(pa.array(is_request)))


def test_former_days_are_those_of_the_ordinary_log(log):
    ordinary = generate_short_video(dataclasses.replace(CONFIG, request_candidates=None), truth=True)
    former = sum(CONFIG.rows_of_day(day) for day in range(CONFIG.days - 1))
    assert log.slice(0, former).equals(ordinary["interactions"].slice(0, former))
    assert log.schema == ordinary["interactions"].schema


def test_one_request_per_user_with_so_many_new_candidates(days):
    former, requests = days
    users, counts = np.unique(requests["user_id"], return_counts=True)
    assert len(users) > 300
    assert set(counts) == {SIZE}
    for name in ("user_id", "time_ms", "position"):
        assert (requests[name].reshape(-1, SIZE) == requests[name].reshape(-1, SIZE)[:, :1]).all()
    assert not requests["position"].any()
    assert requests["time_ms"].max() < CONFIG.start_ms + CONFIG.days * DAY
    pairs = requests["user_id"] * 10**7 + requests["video_id"]
    assert len(np.unique(pairs)) == len(pairs)
    assert not np.isin(pairs, former["user_id"] * 10**7 + former["video_id"]).any()
    catalogue = build_world(CONFIG).catalogues["video"]
    assert (catalogue.born_ms[requests["video_id"] - FIRST_ID] <= requests["time_ms"]).all()
    order = np.lexsort((requests["video_id"], requests["user_id"], requests["time_ms"]))
    assert (np.diff(order) == 1).all()


def test_candidates_are_drawn_by_fading_popularity_without_replacement(days):
    """Against draws of NumPy's own, for the same users, moments and seen videos."""
    former, requests = days
    catalogue = build_world(CONFIG).catalogues["video"]
    rng = np.random.default_rng(0)
    user, time = (requests[name][::SIZE] for name in ("user_id", "time_ms"))
    ours, theirs = [], []
    for one, now, items in zip(user, time, requests["video_id"].reshape(-1, SIZE) - FIRST_ID, strict=True):
        born, fading = exposure_weights(catalogue, int(now))
        weight = fading * catalogue.popularity[born]
        weight[np.isin(born, former["video_id"][former["user_id"] == one] - FIRST_ID)] = 0
        value = np.zeros(len(catalogue))
        value[born] = np.log(np.maximum(weight, 1e-12))
        ours.append(value[items].mean())
        drawn = rng.choice(born, SIZE, replace=False, p=weight / weight.sum())
        theirs.append(value[drawn].mean())
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * np.std(theirs) * np.sqrt(2 / len(theirs))
    # An ordinary day shows what the policy chose: with the interests, the click rate falls where nobody chooses.
    assert requests["click_probability"].mean() < 0.75 * former["click_probability"].mean()


def test_outcomes_follow_the_truth(days):
    for rows in days:
        p, expected = rows["click_probability"], rows["expected_stay_s"]
        noise = np.sqrt((p * (1 - p)).sum())
        assert abs((rows["is_click"] - p).sum()) < 4 * noise
        edges = np.quantile(expected, [0, 0.25, 0.5, 0.75, 0.9, 1])
        for low, high in itertools.pairwise(edges):
            group = (expected >= low) & (expected <= high)
            error = rows["stay_s"][group] - expected[group]
            assert abs(error.mean()) < 4 * error.std() / np.sqrt(group.sum())
        assert (rows["is_click"] >= rows["is_like"]).all()
        clicked = rows["is_click"] == 1
        assert rows["stay_s"][clicked].mean() > 5 * rows["stay_s"][~clicked].mean()


@pytest.mark.parametrize("domains", [("video",), ("video", "goods")])
def test_the_written_requests_and_their_truth(tmp_path, domains):
    config = dataclasses.replace(TINY, domains=domains)
    dataset = write_short_video(config, tmp_path / "data")
    requests = pq.read_table(dataset.parent / "interactions" / f"day-{config.days - 1:02d}.parquet")
    truth = pq.read_table(dataset.parent / "requests_truth.parquet")
    logged = pq.read_schema(dataset.parent / "interactions" / "day-00.parquet")
    assert requests.schema == logged  # no truth among them
    assert truth.column_names == ["user_id", "video_id", "time_ms", "click_probability", "expected_stay_s"]
    keys = truth.column_names[:3]
    assert truth.select(keys).equals(requests.select(keys))
    made = generate_short_video(config, truth=True)["interactions"]
    assert made.slice(len(made) - len(truth)).select(truth.column_names).equals(truth)
    description = load_description(dataset)
    assert description.name == "short-video-simulation"
    end = config.start + datetime.timedelta(days=config.days)
    split = description.split
    assert [split.train_until, split.valid_until, split.test_until] == [
        end - datetime.timedelta(days=days) for days in (2, 1, 0)
    ]
    assert not (write_short_video(dataclasses.replace(config, request_candidates=None), tmp_path / "other").parent
                / "requests_truth.parquet").exists()  # fmt: skip


def test_equal_configurations_make_equal_requests():
    one, other = generate_short_video(TINY), generate_short_video(TINY)
    assert one["interactions"].equals(other["interactions"])
    with pytest.raises(E2EGRecError, match="`request_candidates` must be at least 2"):
        dataclasses.replace(TINY, request_candidates=1)


def test_users_who_have_seen_too_much_are_left_out():
    """So that every request is full; where nobody can have one, the sentence says what to do."""
    config = ShortVideoConfig(users=20, videos=60, days=5, impressions=1_500, request_candidates=12)
    rows = columns(generate_short_video(config)["interactions"])
    is_request = rows["time_ms"] >= config.start_ms + (config.days - 1) * DAY
    users, counts = np.unique(rows["user_id"][is_request], return_counts=True)
    assert 0 < len(users) < 20
    assert set(counts) == {12}
    with pytest.raises(E2EGRecError, match=r"nobody has 60 videos left .*raise `videos`"):
        generate_short_video(dataclasses.replace(config, request_candidates=60))

import dataclasses
import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, generate_short_video, write_short_video

SMALL = ShortVideoConfig(users=2_000, videos=500, days=7, impressions=50_000, seed=3)
TINY = ShortVideoConfig(users=200, videos=100, days=5, impressions=2_000, domains=("video", "goods"))
FIRST_ID = 1_000_001


@pytest.fixture(scope="module")
def small():
    tables = generate_short_video(SMALL, truth=True)
    return {name: {c: table[c].to_numpy() for c in table.column_names} for name, table in tables.items()}


def test_equal_configurations_give_equal_tables():
    one, other = generate_short_video(TINY), generate_short_video(TINY)
    different = generate_short_video(dataclasses.replace(TINY, seed=1))
    for name, table in one.items():
        assert table.equals(other[name])
        assert not table.equals(different[name])


def test_sizes_and_types(small):
    tables = generate_short_video(SMALL)
    log = tables["interactions"]
    assert log.num_rows == SMALL.impressions
    assert tables["videos"].num_rows == SMALL.videos
    assert tables["users"].num_rows == SMALL.users
    for column in ("user_id", "video_id", "time_ms"):
        assert log.schema.field(column).type == pa.int64()
    assert sum(column.null_count for table in tables.values() for column in table.columns) == 0
    day = (small["interactions"]["time_ms"] - SMALL.start_ms) // 86_400_000
    np.testing.assert_array_equal(np.bincount(day), [SMALL.rows_of_day(d) for d in range(SMALL.days)])
    assert set(log["user_id"].to_pylist()) <= set(tables["users"]["user_id"].to_pylist())
    assert set(log["video_id"].to_pylist()) <= set(tables["videos"]["video_id"].to_pylist())


def test_popularity_has_a_long_tail():
    videos = generate_short_video(ShortVideoConfig())["interactions"]["video_id"].to_numpy() - FIRST_ID
    shown = np.sort(np.bincount(videos, minlength=3_000))[::-1]
    assert shown[:300].sum() > 0.4 * shown.sum()  # a tenth of the videos
    assert np.median(shown) < 0.7 * shown.mean()


def test_new_videos_appear_every_day_and_fade(small):
    log, videos = small["interactions"], small["videos"]
    first_day = (videos["upload_time_ms"] - SMALL.start_ms) // 86_400_000
    assert (np.bincount(first_day[first_day >= 0], minlength=SMALL.days) > 10).all()
    age = (log["time_ms"] - videos["upload_time_ms"][log["video_id"] - FIRST_ID]) / 86_400_000
    assert age.min() >= 0  # nothing is shown before it is born
    late = log["time_ms"] > SMALL.start_ms + 6 * 86_400_000
    fresh = age[late] < 2
    assert fresh.mean() > 2 * (age[late] > 4).mean()


def test_a_user_sees_a_video_once(small):
    log = small["interactions"]
    pairs = np.unique(log["user_id"] * 10**7 + log["video_id"], return_counts=True)[1]
    assert pairs.sum() - len(pairs) < 0.01 * SMALL.impressions
    tables = generate_short_video(dataclasses.replace(SMALL, users=8_000, videos=2_000))
    assert (
        tables["interactions"].group_by(["user_id", "video_id"]).aggregate([]).num_rows == SMALL.impressions
    )


def test_repeats_fill_up_where_users_run_out_of_videos():
    config = ShortVideoConfig(users=10, videos=50, days=5, impressions=1_500)
    assert generate_short_video(config)["interactions"].num_rows == 1_500


def test_clicks_are_predictable_but_not_certain(small):
    log = small["interactions"]
    assert 0.05 < log["is_click"].mean() < 0.4
    assert 0.75 < roc_auc_score(log["is_click"], log["click_probability"]) < 0.87
    top, low = log["position"] == 0, log["position"] >= 8
    assert log["is_click"][top].mean() > 1.3 * log["is_click"][low].mean()


def test_stay_follows_interest_and_duration(small):
    log = small["interactions"]
    clicked = log["is_click"] == 1
    stay, duration = log["stay_s"], log["video_duration_s"]
    assert np.median(stay[~clicked]) == 0
    assert stay[clicked].min() > 0
    ratio = np.log(stay[clicked] / duration[clicked])
    assert np.corrcoef(np.log(stay[clicked]), np.log(duration[clicked]))[0, 1] > 0.4
    assert np.corrcoef(ratio, log["click_probability"][clicked])[0, 1] > 0.2
    assert (log["is_click"] >= log["is_like"]).all()
    assert (log["is_click"] >= log["is_long_view"]).all()
    assert 0.05 < log["is_like"][clicked].mean() < 0.5
    assert 0.1 < log["is_long_view"][clicked].mean() < 0.7


def _lift_against(column, signal=1.0, taste=1.0):
    """Correlation of co-click lift with sharing the niche (over pairs of one category), or the category (over all pairs)."""
    tables = generate_short_video(dataclasses.replace(SMALL, graph_signal=signal, taste=taste), truth=True)
    log = tables["interactions"].filter(pc.equal(tables["interactions"]["is_click"], 1))
    user, item = log["user_id"].to_numpy() - 1, log["video_id"].to_numpy() - FIRST_ID
    clicks = sp.csr_matrix((np.ones(len(user)), (user, item)), shape=(SMALL.users, SMALL.videos))
    together = (clicks.T @ clicks).toarray()
    degree = np.diag(together)
    niche, category = (tables["videos"][name].to_numpy() for name in ("niche", "category"))
    i, j = np.triu_indices(SMALL.videos, 1)
    use = (degree[i] >= 10) & (degree[j] >= 10)
    if column == "niche":
        use &= category[i] == category[j]
    i, j = i[use], j[use]
    lift = together[i, j] / np.sqrt(degree[i] * degree[j])
    value = {"niche": niche, "category": category}[column]
    return np.corrcoef(lift, value[i] == value[j])[0, 1]


def test_the_graph_knows_niches_only_with_graph_signal():
    assert _lift_against("niche") > 0.3
    assert abs(_lift_against("niche", signal=0.0)) < 0.08


def test_without_taste_co_clicks_know_no_interests():
    assert _lift_against("category", signal=0.0) > 0.2
    for column in ("niche", "category"):
        for signal in (0.0, 1.0):
            assert abs(_lift_against(column, signal, taste=0.0)) < 0.05


def test_the_written_data_set_is_the_generated_one(tmp_path):
    calls = []
    path = write_short_video(TINY, tmp_path / "data", progress=lambda *args: calls.append(args))
    assert calls == [(n, 10) for n in range(1, 11)]
    tables = generate_short_video(TINY)
    for name, table in tables.items():
        on_disk = pq.read_table(path.parent / (name if "interactions" in name else f"{name}.parquet"))
        assert on_disk.equals(table)
    assert sorted(p.name for p in (path.parent / "interactions").iterdir()) == [
        f"day-0{d}.parquet" for d in range(5)
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "config", [TINY, dataclasses.replace(TINY, domains=("video",)), ShortVideoConfig(days=14)]
)
def test_the_description_fits_the_data(tmp_path, config):
    config = dataclasses.replace(config, users=100, videos=100, impressions=1_400)
    description = load_description(write_short_video(config, tmp_path / "data"))
    assert description.domains == list(config.domains)
    assert description.has_stay
    assert description.graph.regime == ("equal" if len(config.domains) == 1 else "cross-domain")
    split, end = description.split, config.start + datetime.timedelta(days=config.days)
    assert split.test_until == end
    assert split.train_until == end - datetime.timedelta(days=3)
    if config.days == 14:
        assert split.labels_from == config.start + datetime.timedelta(days=3)
    for tables, key in ((description.items, "item"), (description.users, "user")):
        for table in tables:
            columns = pq.read_schema(tmp_path / "data" / table.paths[0]).names
            assert {table.id, *(f.source_column for f in table.features)} <= set(columns), key
    for log in description.interactions:
        columns = pq.read_schema(tmp_path / "data" / log.paths[0].replace("*", "00")).names
        used = {log.user, log.item, log.time.column, *(b.column for b in log.behaviours.values())}
        used |= {f.source_column for f in log.context}
        used |= {log.stay.column, log.stay.content_duration} if log.stay else set()
        assert used <= set(columns)


@pytest.mark.parametrize("domains", [("video",), ("video", "goods")])
def test_few_labels_change_the_description_alone(tmp_path, domains):
    config = dataclasses.replace(TINY, domains=domains)
    few = dataclasses.replace(config, label_share=0.25)
    for name, table in generate_short_video(config).items():
        assert table.equals(generate_short_video(few)[name])
    ordinary = load_description(write_short_video(config, tmp_path / "data"))
    description = load_description(write_short_video(few, tmp_path / "few"))
    assert description.graph.regime == "cross-domain"
    shares = [rows.users_share for rows in description.ranker.rows if rows.users_share is not None]
    assert shares == [0.25]
    rest = [rows for rows in description.ranker.rows if rows.users_share is None]
    assert rest == ordinary.ranker.rows
    assert description.split == ordinary.split
    assert (description.training.batch_size, ordinary.training.batch_size) == (512, 2048)
    assert (description.model.dropout, ordinary.model.dropout) == (0.3, 0.0)


def test_goods_share_the_users_and_their_interests():
    tables = generate_short_video(dataclasses.replace(SMALL, domains=("video", "goods")), truth=True)
    goods = tables["goods_interactions"]
    assert goods.num_rows == SMALL.impressions // 3
    assert "stay_s" not in goods.column_names
    assert pc.all(goods["cross_domain"]).as_py()
    assert min(goods["goods_id"].to_pylist()) > max(tables["interactions"]["video_id"].to_pylist())
    shares = []  # per user and domain: which niches the clicks fall on
    for log, items, key in (
        ("interactions", "videos", "video_id"),
        ("goods_interactions", "goods", "goods_id"),
    ):
        clicked = tables[log].filter(pc.equal(tables[log]["is_click"], 1))
        niche = tables[items]["niche"].to_numpy()[clicked[key].to_numpy() - tables[items][key][0].as_py()]
        counts = np.zeros((SMALL.users + 1, 64))
        np.add.at(counts, (clicked["user_id"].to_numpy(), niche), 1)
        shares.append(counts)
    video, other = shares
    same = (video * other).sum() / (video.sum(1) * other.sum(1)).sum()
    chance = (video.sum(0) / video.sum()) @ (other.sum(0) / other.sum())
    assert same > 2 * chance
    plain = generate_short_video(SMALL, truth=True)
    assert plain["interactions"].equals(tables["interactions"])  # the video log does not change


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(E2EGRecError, match="exists"):
        write_short_video(TINY, tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.raises(E2EGRecError, match="cannot be written"):
        write_short_video(TINY, tmp_path / "file" / "data")


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_short_video(TINY, tmp_path / "data", progress=fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 1},
        {"videos": 3},
        {"days": 4},
        {"impressions": 10},
        {"graph_signal": 1.5},
        {"taste": -0.5},
        {"domains": ("goods",)},
        {"label_share": 0.0},
        {"label_share": 1.5},
        {"seed": -1},
    ],
)
def test_a_configuration_out_of_range_is_refused(wrong):
    with pytest.raises(E2EGRecError, match=next(iter(wrong))):
        ShortVideoConfig(**wrong)

"""Short-video logs to learn from: generated in memory, or written as a data set ready for `e2egrec run`."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.dataset.artefact import publish
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig
from tf_e2egrec.synthetic.short_video_description import short_video_description
from tf_e2egrec.synthetic.short_video_requests import ShortVideoRequests
from tf_e2egrec.synthetic.short_video_simulation import ShortVideoSimulation
from tf_e2egrec.synthetic.short_video_world import Catalogue, Users, World, build_world

__all__ = ["ShortVideoConfig", "generate_short_video", "write_short_video"]

REQUESTS_TRUTH = "requests_truth.parquet"
TRUTH = ("click_probability", "expected_stay_s")
_DEVICES = np.array(["android", "ios", "tablet"])
_AGES = np.array(["-17", "18-24", "25-34", "35-44", "45-54", "55-"])


def generate_short_video(config: ShortVideoConfig, truth: bool = False) -> dict[str, pa.Table]:
    """Generate everything in memory.

    Args:
      config: sizes and character.
      truth: also give what no real log has: `click_probability` and (of videos) `expected_stay_s` of each impression,
        `niche` of each item.

    Returns:
      `interactions` (user_id, video_id, time_ms, position, is_click, is_like, is_long_view, stay_s,
      video_duration_s; in order of time), `videos`, `users`; with the domain `goods` also
      `goods_interactions` (user_id, goods_id, time_ms, position, is_click, is_purchase, cross_domain) and
      `goods`.
    """
    world = build_world(config)
    tables = {"users": _user_table(world.users)}
    for domain in config.domains:
        simulation = _simulation(config, world, domain)
        tables[_LOG_NAME[domain]] = pa.concat_tables(simulation.days(truth))
        tables[_ITEM_NAME[domain]] = _item_table(world, domain, truth)
    return tables


def write_short_video(
    config: ShortVideoConfig, directory: str | Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Generate day by day and write a data set with its description file.

    Args:
      config: sizes and character.
      directory: the folder to make; it appears whole or not at all.
      progress: called with (days done, days in all) after each day of each log.

    Returns:
      The path of `dataset.yaml`; beside it `interactions/day-XX.parquet`, `videos.parquet`, `users.parquet`,
      and with the domain `goods` also `goods_interactions/day-XX.parquet` and `goods.parquet`, with requests
      also `requests_truth.parquet` (user_id, video_id, time_ms, click_probability, expected_stay_s).

    Raises:
      E2EGRecError: the folder exists or cannot be written, or nobody has enough new videos for a request.
    """
    directory = Path(directory)
    if directory.exists():
        raise E2EGRecError(f"{directory} exists; remove it or name another folder for the data set")
    try:
        with publish(directory) as staging:
            _write_files(config, staging, progress or (lambda done, total: None))
    except OSError as error:
        raise E2EGRecError(
            f"the data set cannot be written to {directory}: {error.strerror or error}"
        ) from error
    return directory / "dataset.yaml"


_LOG_NAME = {"video": "interactions", "goods": "goods_interactions"}
_ITEM_NAME = {"video": "videos", "goods": "goods"}


def _write_files(config: ShortVideoConfig, folder: Path, progress: Callable[[int, int], None]) -> None:
    world = build_world(config)
    pq.write_table(_user_table(world.users), folder / "users.parquet")
    done = itertools.count(1)
    for domain in config.domains:
        pq.write_table(_item_table(world, domain, truth=False), folder / f"{_ITEM_NAME[domain]}.parquet")
        logs = folder / _LOG_NAME[domain]
        logs.mkdir()
        simulation = _simulation(config, world, domain)
        has_requests = isinstance(simulation, ShortVideoRequests)
        for day, table in enumerate(simulation.days(truth=has_requests)):
            logged = [name for name in table.column_names if name not in TRUTH]
            pq.write_table(table.select(logged), logs / f"day-{day:02d}.parquet")
            if has_requests and day == config.days - 1:
                pq.write_table(table.select([*logged[:3], *TRUTH]), folder / REQUESTS_TRUTH)
            progress(next(done), config.days * len(config.domains))
    (folder / "dataset.yaml").write_text(short_video_description(config), encoding="utf-8")


def _simulation(config: ShortVideoConfig, world: World, domain: str) -> ShortVideoSimulation:
    has_requests = config.request_candidates is not None and domain == "video"
    return (ShortVideoRequests if has_requests else ShortVideoSimulation)(config, world, domain)


def _user_table(users: Users) -> pa.Table:
    return pa.table(
        {
            "user_id": np.arange(len(users.activity), dtype=np.int64) + 1,
            "age_group": _AGES[users.age_group],
            "region": users.region,
            "device": _DEVICES[users.device],
        }
    )


def _item_table(world: World, domain: str, truth: bool) -> pa.Table:
    catalogue: Catalogue = world.catalogues[domain]
    columns: dict[str, object] = {
        f"{domain}_id": np.arange(len(catalogue), dtype=np.int64) + catalogue.first_id,
        "category": catalogue.topic,
        "author": catalogue.author,
        "tags": pa.array(catalogue.tags, type=pa.list_(pa.int64())),
        "content": pa.array(list(catalogue.content), type=pa.list_(pa.float32())),
        "upload_time_ms": catalogue.born_ms,
    }
    if domain == "video":
        columns["duration_s"] = catalogue.duration
    else:
        columns["price"] = catalogue.price
    if truth:
        columns["niche"] = catalogue.niche
    return pa.table(columns)

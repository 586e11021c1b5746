"""Made-up files in the shape of the public data sets of `configs/`: their names, columns, units and days, and nothing else of them."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.cli.job import TINY, rewrite
from tests.cli.test_recommend_command import DESCRIPTION, SETTINGS
from tests.docs.pages import ROOT

DAY = 86_400_000  # ms
OCTOBER_2017 = 1_506_816_000_000  # 2017-10-01, ms since the epoch
APRIL_2022 = 1_649_376_000_000  # 2022-04-08


def write_data_sets(root: Path) -> None:
    """Write `configs`, with small models, `public`, which is their `--data`, and `lists`, which is described for `recommend`."""
    for file in (ROOT / "configs").glob("*.yaml"):
        rewrite(file, _make_small, root / "configs" / file.name)
    public = root / "public"
    public.mkdir(parents=True)
    _write_news(public)
    _write_short_videos(public)
    _write_films(public)
    for name, first, last in (("beauty_sequences", 0, 14), ("train", 0, 10), ("test", 10, 14)):
        with gzip.open(public / f"{name}.txt.gz", "wt", encoding="utf-8") as file:
            file.write(_lists(80, 40, first, last))
    (root / "lists").mkdir()
    (root / "lists/lists.txt").write_text(_lists(40, 30, 0, 8), encoding="utf-8")
    (root / "lists/dataset.yaml").write_text(yaml.safe_dump(DESCRIPTION, sort_keys=False), encoding="utf-8")


def _make_small(description: dict[str, Any]) -> None:
    description["model"] = TINY["model"]
    if "recommend" in description:
        names = ("mf", "lightgcn", "lightgode")
        short = {"dim": 4, **{name: {**description["recommend"].get(name, {}), **SETTINGS} for name in names}}
        description["recommend"] |= short
    else:
        description["training"] |= {"epochs": 1}
    if "update_every" in description.get("evaluation", {}):
        description["evaluation"]["update_every"] = "1d"


def _lists(users: int, items: int, first: int, last: int) -> str:
    """A line per user: the user, and that part of the user's own order of the items of its taste."""
    lines = []
    for user in range(users):
        order = np.random.default_rng(user).permutation(items // 2) + (user % 2) * (items // 2)
        lines.append(" ".join(map(str, [user, *order[first:last]])))
    return "\n".join(lines) + "\n"


def _write_news(folder: Path, rows: int = 4_000) -> None:
    rng = np.random.default_rng(0)
    user = rng.integers(400, size=rows)
    kinds = {"environment": 4, "deviceGroup": 3, "os": 6, "country": 5, "region": 9, "referrer_type": 7}
    columns = {
        "user_id": user,
        "session_id": user * 10 + rng.integers(3, size=rows),
        "click_article_id": (60 * rng.beta(1, 2, size=rows)).astype(np.int64),
        "click_timestamp": np.sort(OCTOBER_2017 + rng.integers(10 * DAY, size=rows)),
        **{f"click_{name}": rng.integers(1, many, size=rows) for name, many in kinds.items()},
    }
    pq.write_table(pa.table(columns), folder / "clicks_000.parquet")


def _write_short_videos(folder: Path, rows: int = 4_000) -> None:
    rng = np.random.default_rng(1)
    length = rng.integers(5_000, 60_000, size=rows)
    stay = (rng.random(rows) * 1.2 * length).astype(np.int64)
    columns = {
        "user_id": rng.integers(120, size=rows),
        "video_id": (80 * rng.beta(1, 2, size=rows)).astype(np.int64),
        "time_ms": np.sort(APRIL_2022 + rng.integers(14 * DAY, size=rows)),
        "is_click": rng.integers(2, size=rows),
        "long_view": (stay > 18_000).astype(np.int64),
        "label": rng.integers(2, size=rows),
        "play_time_ms": stay,
        "duration_ms": length,
    }
    pq.write_table(pa.table(columns), folder / "interactions.parquet")


def _write_films(folder: Path, users: int = 150, films: int = 80, each: int = 25) -> None:
    rng = np.random.default_rng(2)
    columns = {
        "user_id": np.repeat(np.arange(1, users + 1), each),
        "movie_id": np.concatenate([rng.permutation(films)[:each] + 1 for _ in range(users)]),
        "rating": rng.integers(1, 6, size=users * each),
        "time_rank_in_user": np.tile(np.arange(each), users),
    }
    pq.write_table(pa.table(columns), folder / "ratings.parquet")
    genres = ("Drama", "Comedy", "Horror", "Children's")
    titles = [
        f"{n}::Le film numéro {n} (1999)::{genres[n % 4]}|{genres[n % 3]}\n" for n in range(1, films + 1)
    ]
    (folder / "movies.dat").write_text("".join(titles), encoding="latin-1")
    people = [
        f"{n}::{'FM'[n % 2]}::{(1, 18, 25, 35)[n % 4]}::{n % 21}::0{n:04d}\n" for n in range(1, users + 1)
    ]
    (folder / "users.dat").write_text("".join(people), encoding="latin-1")

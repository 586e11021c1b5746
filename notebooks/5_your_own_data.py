# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. How do I bring my own data?
#
# By one YAML file that says where the logs are and what their columns mean. This notebook makes up a data set
# that looks like nobody else's (podcast episodes, ids that are text, times in seconds, listening in minutes,
# topics in one string), writes the description in steps, makes the usual mistakes on the way, and ends with a
# trained model and a prediction.
#
# With your own Parquet, CSV or JSON lines: let `work` be their folder, leave out the cell under *The data*, put
# your names into the fourth description below (those before it are mistakes on purpose), and go on from there.
# `docs/description_file.md` lists every key.

# %%
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

scratch = tempfile.TemporaryDirectory()
work = Path(scratch.name)  # goes when this notebook ends: a folder of your own keeps what is made here


def e2egrec(line):
    """Run the command as in a terminal and print what it prints; returns its exit code."""
    print(f"$ e2egrec {line}")
    words = [sys.executable, "-m", "tf_e2egrec.cli.main", *shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done.returncode


# %% [markdown]
# ## The data
# Listeners like a few of twelve hidden kinds of episodes. A row is an episode that was started.

# %%
rng = np.random.default_rng(7)
LISTENERS, EPISODES, ROWS, DAYS, KINDS = 1200, 400, 40_000, 10, 12
kind = rng.integers(KINDS, size=EPISODES)
likes = rng.dirichlet(np.full(KINDS, 0.2), size=LISTENERS)
listener, episode = rng.integers(LISTENERS, size=ROWS), (EPISODES * rng.beta(0.8, 2.0, size=ROWS)).astype(int)
length = rng.uniform(5, 60, size=EPISODES).round(1)
liking = np.clip(4 * likes[listener, kind[episode]] + rng.normal(0.1, 0.2, size=ROWS), 0, 1)
plays = pd.DataFrame(
    {
        "listener": [f"u-{n:05d}" for n in listener],
        "episode": [f"ep/{n:04d}" for n in episode],
        "started": np.sort(1_767_225_600 + rng.integers(DAYS * 86_400, size=ROWS)),  # seconds since the epoch
        "minutes": (liking * length[episode]).round(2),
        "saved": rng.random(ROWS) < 0.3 * liking,
        "slot": rng.integers(1, 11, size=ROWS),  # place in the list that was shown
    }
)
episodes = pd.DataFrame(
    {
        "slug": [f"ep/{n:04d}" for n in range(EPISODES)],
        "show": [f"show {n % 40}" for n in range(EPISODES)],
        "topics": [
            ";".join(
                rng.choice(["news", "sports", "music", "history", "science"], size=1 + n % 3, replace=False)
            )
            for n in range(EPISODES)
        ],
        "length_min": length,
    }
)
listeners = pd.DataFrame(
    {
        "listener_id": [f"u-{n:05d}" for n in range(LISTENERS)],
        "country": rng.choice(["AT", "CH", "DE"], size=LISTENERS),
    }
)
(work / "plays").mkdir()
for day, rows in plays.groupby((plays.started - plays.started.min()) // 86_400):
    rows.to_parquet(work / f"plays/{day:02d}.parquet", index=False)
episodes.to_parquet(work / "episodes.parquet", index=False)
listeners.to_parquet(work / "listeners.parquet", index=False)
print(plays.head(3).to_string(), episodes.head(3).to_string(), sep="\n\n")

# %% [markdown]
# ## The smallest description
# What must be said: the logs, their three columns, what counts as a behaviour, which of them is the reward,
# which make the graph, and how time is split. The first try has mistakes. Each is answered in one sentence
# that says what, where, and how to mend it, with exit code 2.
#
# A behaviour is a column of numbers or true and false (with `at_least`, from a value on), or one of words, of
# which those are named that count: `{column: finished, in: [yes]}`.

# %%
FIRST = """
name: podcasts
interactions:
  paths: plays/*.parquet
  user: listener
  item: episode_id
  time: {column: started, unit: ms}
  behaviours:
    listened: {column: minutes, at_least: 10}
    saved: {column: saved}
ranker: {reward: listend}
graph:
  positive: [listened]
  explicit: [listened, saved]
split: {by: time, labels_from: 2026-01-02, train_until: 2026-01-08, valid_until: 2026-01-09, test_until: 2026-01-11}
"""
file = work / "podcasts.yaml"
file.write_text(FIRST)
assert e2egrec(f"swing {file} --out {work}/run") == 2

# %% [markdown]
# A misspelt behaviour. Descriptions are checked before a row is read; columns when the first file is opened.

# %%
SECOND = FIRST.replace("listend", "listened")
file.write_text(SECOND)
assert e2egrec(f"swing {file} --out {work}/run") == 2

# %%
THIRD = SECOND.replace("item: episode_id", "item: episode")
file.write_text(THIRD)
assert e2egrec(f"swing {file} --out {work}/run") == 2

# %% [markdown]
# Seconds that are read as milliseconds lie in January 1970: the sentence names the unit that would fit.

# %%
FOURTH = THIRD.replace("unit: ms", "unit: s")
file.write_text(FOURTH)
assert e2egrec(f"swing {file} --out {work}/run") == 0

# %% [markdown]
# **Read the counters.** They are the second place where a wrong description shows: a reward that nearly never
# happens, rows that fall away, users below `min_behaviours`. Here nearly four rows of ten are positive, and
# nothing was dropped but what Swing drops.
#
# ## Features, stay, and a smaller model
# Features come from tables, one row per episode or listener; `topics` is split at `;`. (Tables are also what
# keeps the text of ids for people to read: without one, a listener is shown as a number.) The minutes become
# the second label, the stay duration (`unit` may be us, ms, s, min, h or d; `maximum` is in seconds whatever
# it is, and longer stays are cut to it). `slot` is context, because it was known when the episode was shown;
# `saved` happened afterwards, and must never be a feature.

# %%
LAST = (
    FOURTH.replace(
        "ranker:",
        """\
  stay: {column: minutes, unit: min, maximum: 3600}
  context: [{name: slot, type: numeric, transform: log1p}]
items:
  paths: episodes.parquet
  id: slug
  features:
    - {name: show, type: categorical}
    - {name: topics, type: categorical, multivalued: true, separator: ;, max_values: 3}
    - {name: length_min, type: numeric, transform: log1p}
users:
  paths: listeners.parquet
  id: listener_id
  features: [{name: country, type: categorical}]
ranker:""",
    )
    + """
model: {dim: 32, heads: 4, tower_units: [32]}   # small, as the data are
training: {epochs: 2, batch_size: 512}
"""
)
file.write_text(LAST)
assert e2egrec(f"run {file} --out {work}/run --models R0,R5") == 0

# %% [markdown]
# A second time nothing is made again: every stage is up to date. Change a key, and the stages that depend on
# it run again.

# %%
assert e2egrec(f"run {file} --out {work}/run --models R0,R5") == 0

# %% [markdown]
# ## A prediction
# `run --predict` ends with a server on a free port and one request: the model knows your ids as they are in
# your logs, text included.

# %%
assert e2egrec(f"run {file} --out {work}/run --models R0,R5 --predict") == 0

# %% [markdown]
# ## Next
# * Is the graph worth it here? Notebook 4, with `e2egrec compare podcasts.yaml --out DIR --seeds 3`.
# * Do neighbours make sense? `e2egrec explore RUN_DIR`.
# * Another sentence than those above? `docs/troubleshooting.md` lists them all.

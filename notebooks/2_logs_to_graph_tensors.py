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
# # 2. What becomes of a log?
#
# Two Beam stages turn logs into what the model trains on: `swing` makes item graphs, one per day, and
# `subgraphs` writes every impression with its sampled neighbours as a GraphTensor. Here a generated log goes
# through both; then one subgraph is read, checked against the log, and drawn.

# %%
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.dataset as pads

import tf_e2egrec  # before TensorFlow: TF-GNN needs Keras 2
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.subgraphs.graph_schema import record_spec

scratch = tempfile.TemporaryDirectory()
work = Path(scratch.name)


def e2egrec(line):
    """Run the command as in a terminal and print what it prints; returns its exit code."""
    print(f"$ e2egrec {line}")
    words = [sys.executable, "-m", "tf_e2egrec.cli.main", *shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done.returncode


# %%
assert e2egrec(f"synthesize {work}/data --users 1500 --videos 600 --days 6 --impressions 40000") == 0
assert e2egrec(f"swing {work}/data/dataset.yaml --out {work}/run") == 0
assert e2egrec(f"subgraphs {work}/data/dataset.yaml --out {work}/run") == 0

# %% [markdown]
# ## Rows that are left out are counted
# Nothing disappears in silence: both stages print counters and keep them in `manifest.json`.

# %%
counters = json.loads((work / "run/subgraphs/manifest.json").read_text())["counters"]
for split in ("train", "valid", "test"):
    shown, rewarded = counters[f"impressions_{split}"], counters[f"positives_{split}"]
    print(f"{split:>5}: {shown:,} impressions, {rewarded / shown:.1%} of them clicked")

# %% [markdown]
# ## One record
# A record is a `tf.train.Example` in TF-GNN's encoding. The description file says what is in it,
# `schema.pbtxt` says it to other tools.

# %%
description = tf_e2egrec.load_description(work / "data/dataset.yaml")
files = sorted(str(path) for path in (work / "run/subgraphs/test").glob("*.tfrecord"))
spec = record_spec(description)
graphs = (tfgnn.parse_single_example(spec, record) for record in tf.data.TFRecordDataset(files))

# One with neighbours and a few recent items, to have something to look at.
graph = next(
    one
    for one in graphs
    if one.edge_sets["swing"].adjacency.target.shape[0] >= 15 and 2 <= one.edge_sets["recent"].total_size <= 4
)
print("nodes:", {name: int(nodes.total_size) for name, nodes in graph.node_sets.items()})
print("edges:", {name: int(edges.total_size) for name, edges in graph.edge_sets.items()})

# %%
readout = {
    name: graph.node_sets["_readout"][name].numpy()[0] for name in graph.node_sets["_readout"].features
}
for name, value in readout.items():
    print(f"{name:>18}: {value}")

# %% [markdown]
# `reward` and `stay` are the labels: the model never gets them as input. `position` and the derived features
# are context: known when the video was shown.
#
# ## Drawn
# The candidate in the middle, its sampled neighbours around it, the thicker the heavier; the user above, with
# recent items and the neighbours of those. Each item is there once, however many edges it has.

# %%
items = graph.node_sets["item"]["#id"].numpy()
swing, recent = graph.edge_sets["swing"], graph.edge_sets["recent"]
source, target = swing.adjacency.source.numpy(), swing.adjacency.target.numpy()
weight = swing["weight"].numpy()
recents = recent.adjacency.source.numpy()

place = {0: (0.0, 0.0)}
for n, node in enumerate(recents):
    place[int(node)] = (3.0 * (n - (len(recents) - 1) / 2), 3.2)
for centre in (0, *map(int, recents)):
    around = [int(node) for node in source[target == centre] if int(node) not in place]
    half = np.pi if centre else 2 * np.pi  # those of recent items fan out upwards
    for n, node in enumerate(around):
        angle = half * (n + 0.5) / len(around) - (0 if centre else np.pi / 2)
        x, y = place[centre]
        place[node] = (x + 1.3 * np.cos(angle), y + 1.3 * np.sin(angle))

figure, axis = plt.subplots(figsize=(9, 6))
for a, b, w in zip(source, target, weight, strict=True):
    (x0, y0), (x1, y1) = place[int(a)], place[int(b)]
    axis.plot([x0, x1], [y0, y1], color="tab:blue", alpha=0.5, linewidth=0.5 + 4 * w / weight.max(), zorder=1)
for node in recents:
    axis.plot(
        [place[int(node)][0], 0], [place[int(node)][1], 1.9], color="tab:orange", linestyle=":", zorder=1
    )
neighbours = [place[node] for node in place if node != 0 and node not in recents]
axis.scatter(*zip(*neighbours, strict=True), s=40, color="tab:blue", label="neighbour")
axis.scatter(
    *zip(*(place[int(node)] for node in recents), strict=True), s=120, color="tab:orange", label="recent item"
)
axis.scatter([0], [1.9], s=160, marker="s", color="black", label="user")
axis.scatter([0], [0], s=200, color="tab:red", label="candidate")
axis.set(title=f"one impression: video {items[0]} shown to user {readout['user_id']}", aspect="equal")
axis.axis("off")
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## Does the record know the future?
# Its edges come from the graph of its day, which was made from clicks of former days alone; its recent items
# are clicks before the impression. Both can be read off the log.

# %%
log = pads.dataset(work / "data/interactions").to_table().to_pandas()
moment = readout["time"]
day_began = moment // 86_400_000 * 86_400_000
known = log[(log.is_click > 0) & (log.time_ms < day_began)]
clicked_before = log[(log.is_click > 0) & (log.user_id == readout["user_id"]) & (log.time_ms < moment)]
print(
    f"{len(known):,} clicks were known when the day began, {int((log.is_click > 0).sum()):,} are in the whole log"
)

for a, b in zip(source[:5], target[:5], strict=True):
    users = [set(known.user_id[known.video_id == items[node]]) for node in (a, b)]
    print(f"{items[a]} -> {items[b]}: {len(users[0] & users[1])} users clicked both before the day began")
    assert len(users[0] & users[1]) >= 2
assert set(items[recents]) <= set(clicked_before.video_id)

# %% [markdown]
# ## A batch
# Training reads batches: records are merged, each item is kept once, and features come from the node tables.
# That is the model's input in training, evaluation and serving.

# %%
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.impression_source import impressions

nodes = work / "run/subgraphs/nodes"
tables = (
    FeatureTable(NodeTable.read_parquet(nodes / "item.parquet"), description.item_features),
    FeatureTable(NodeTable.read_parquet(nodes / "user.parquet"), description.user_features),
)
batch, labels = next(iter(impressions(work / "run/subgraphs", "test", description, *tables)))
rows = len(labels["reward"])
distinct, places = (int(batch.node_sets[name].total_size) for name in ("item", "seed"))
print(f"{rows:,} impressions: {distinct:,} distinct items, {places:,} places where one needs neighbours")
print("item features:", sorted(batch.node_sets["item"].features))
assert rows == description.training.batch_size

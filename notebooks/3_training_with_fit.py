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
# # 3. What happens during training?
#
# `E2EGRec` is a Keras model: it is compiled, fitted, evaluated and saved like any other. Here it is trained
# with `model.fit` on a generated log, and a callback of a few lines looks at what the loss does not say:
# GradNorm's weights of the two tasks, what the gate lets through, which token attends to which, and how many
# dimensions X really uses.

# %%
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tf_e2egrec as e2e  # before TensorFlow: TF-GNN needs Keras 2
import tensorflow as tf

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.stages.adaptation import adapt_model, collect_statistics
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.impression_source import impressions
from tf_e2egrec.subgraphs.subgraph_dataset import record_files

scratch = tempfile.TemporaryDirectory()
work = Path(scratch.name)


def e2egrec(line):
    """Run the command as in a terminal and print what it prints; returns its exit code."""
    print(f"$ e2egrec {line}")
    words = [sys.executable, "-m", "tf_e2egrec.cli.main", *shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done.returncode


# %% [markdown]
# ## Data
# To train on another data set, name its description file here (notebook 5 writes one, in a folder that has to be
# kept), and leave `synthesize` out.

# %%
DATASET = work / "data/dataset.yaml"
assert e2egrec(f"synthesize {work}/data --users 1500 --videos 500 --days 7 --impressions 60000") == 0
assert e2egrec(f"swing {DATASET} --out {work}/run") == 0
assert e2egrec(f"subgraphs {DATASET} --out {work}/run") == 0

# %%
description = e2e.load_description(DATASET)
small_batches = description.training.model_copy(update={"batch_size": 512})
description = description.model_copy(update={"training": small_batches})
subgraphs = work / "run/subgraphs"
items = NodeTable.read_parquet(subgraphs / "nodes/item.parquet")
users = NodeTable.read_parquet(subgraphs / "nodes/user.parquet")
tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)

train = impressions(subgraphs, "train", description, *tables, seed=0)
valid = impressions(subgraphs, "valid", description, *tables)
print(train.element_spec[1])

# %% [markdown]
# ## Model
# Vocabularies, means and base rates come from the training split alone. `R5` is the full model; `R0` would be
# the ranker without a graph.
#
# How its parts are joined is `model.fusion` of the description. The default is the gate alone; here it is gate
# and attention, as published, so that there is attention to look at.

# %%
tf.keras.utils.set_random_seed(0)
statistics = collect_statistics(description, record_files(subgraphs, "train"), items, users)
inputs = e2e.ModelInputs.from_description(
    description,
    item_vocabulary=len(statistics.vocabularies["item"]["#id"]),
    user_vocabulary=len(statistics.vocabularies["user"]["#id"]),
    vocabulary_sizes=statistics.vocabulary_sizes(),
)
two_levels = {"fusion": "gate+attention", "attention_residual": "tokens"}
architecture = description.model.model_copy(update={"dim": 32, "tower_units": (32,), **two_levels})
model = e2e.E2EGRec(inputs, architecture, e2e.variant_named("R5"))
adapt_model(model, statistics)
for part, count in e2e.parameter_counts(model).items():
    print(f"{part:>12}: {count:,}")


# %% [markdown]
# ## A callback that looks
# `model.diagnose` gives X, Z, gates and attention of a batch; `model.balancer` holds GradNorm's state.
# (`e2egrec train` writes the same to TensorBoard, with `e2e.Diagnostics`.)


# %%
class Watch(tf.keras.callbacks.Callback):
    """Notes every few steps what the model makes of one fixed batch."""

    def __init__(self, probe, every=5):
        super().__init__()
        self.probe, self.every, self.rows = probe, every, []

    def on_train_batch_begin(self, batch, logs=None):
        if batch % self.every == 0:
            found = {name: value.numpy() for name, value in self.model.diagnose(self.probe).items()}
            rank = {f"rank of {name.upper()}": float(e2e.effective_rank(found[name])) for name in "xz"}
            step = int(self.model.optimizer.iterations.numpy())
            self.rows.append(
                {
                    "step": step,
                    **self.model.balancer.values(),
                    **rank,
                    "gate": found["gate"],
                    "attention": found["attention"],
                }
            )


probe = next(iter(valid))[0]
watch = Watch(probe)
model.compile(optimizer="adam", embedding_optimizer=e2e.RowSparseAdam(3e-3))
history = model.fit(
    train,
    validation_data=valid,
    epochs=3,
    verbose=2,
    callbacks=[e2e.GradNorm(gamma=1.0, warmup_steps=20, priors={"ssl": 0.05}), watch],
)

# %% [markdown]
# ## What it saw
# * **Weights.** GradNorm keeps the self-supervised task's gradient at the share that `priors` asks for, here
#   a twentieth of the ranking's. The weights sum to 2, and stand still during the warm-up.
# * **Rank.** GFAE alone would make all items alike, where its loss is zero: the effective rank of X would
#   fall towards 1. The ranking loss holds against it.
# * **Gates and attention** start near one value for all parts and move apart where a part is worth more.
#   `shared` is user, item and context, `ltr` the products a ranker without graph uses, `gnn` the graph.

# %%
step = [row["step"] for row in watch.rows]
parts = ("shared", "ltr", "gnn")
figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True)
for task in ("ssl", "ltr"):
    axes[0, 0].plot(step, [row[f"task_weight/{task}"] for row in watch.rows], label=task)
for name in ("rank of X", "rank of Z"):
    axes[0, 1].plot(step, [row[name] for row in watch.rows], label=name)
for n, part in enumerate(parts):
    axes[1, 0].plot(step, [row["gate"][n] for row in watch.rows], label=part)
    axes[1, 1].plot(
        step, [row["attention"][n][parts.index("gnn")] for row in watch.rows], label=f"{part} to gnn"
    )
for axis, title in zip(
    axes.flat,
    ("task weights", "effective rank", "openness of the gate", "attention to the graph's token"),
    strict=True,
):
    axis.set(title=title)
    axis.legend()
for axis in axes[1]:
    axis.set_xlabel("step")
figure.tight_layout()
plt.show()

# %%
attention = watch.rows[-1]["attention"]
figure, axis = plt.subplots(figsize=(4, 3.5))
drawn = axis.imshow(attention, vmin=0, cmap="Blues")
axis.set(
    title="attention, token (row) to token",
    xticks=range(3),
    xticklabels=parts,
    yticks=range(3),
    yticklabels=parts,
)
for i in range(3):
    for j in range(3):
        axis.text(j, i, f"{attention[i][j]:.2f}", ha="center", va="center")
figure.colorbar(drawn)
plt.show()

first, last = watch.rows[0], watch.rows[-1]
print(
    {
        name: (round(first[name], 2), round(last[name], 2))
        for name in ("task_weight/ssl", "task_weight/ltr", "rank of X", "rank of Z")
    }
)
assert np.allclose(attention.sum(axis=1), 1, atol=1e-3)
assert abs(last["task_weight/ssl"] + last["task_weight/ltr"] - 2) < 1e-3
assert last["rank of X"] > 0.5 * max(row["rank of X"] for row in watch.rows), "X collapsed"

# %% [markdown]
# ## Like any Keras model
# Evaluate, predict, save, load.

# %%
test = impressions(subgraphs, "test", description, *tables)
print(model.evaluate(test, verbose=0, return_dict=True))
graph, labels = next(iter(test))
print({name: values.numpy()[:3] for name, values in model(graph, training=False).items()})

model.save(work / "model.keras")
again = tf.keras.models.load_model(work / "model.keras")
assert np.allclose(again(graph)["reward"], model(graph)["reward"], atol=1e-6)

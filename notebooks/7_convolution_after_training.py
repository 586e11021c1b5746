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
# # 7. Is graph convolution needed during training?
#
# LightGODE (arXiv 2407.18910) says no: train embeddings without a graph, convolve them once afterwards. On
# the clicks of a generated log, three models are trained: matrix factorisation by BPR, the same embeddings by
# alignment and uniformity (what LightGODE trains), and LightGCN, which convolves in every step. Then both
# without a graph are convolved after training, by as much as one likes.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import tf_e2egrec  # noqa: F401  before TensorFlow: Keras 2
import tensorflow as tf

from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval.catalogue import compiled_recommender, settings_of
from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.discrepancy import embedding_discrepancy
from tf_e2egrec.retrieval.epochs import steps_per_epoch, training_batches
from tf_e2egrec.retrieval.full_ranking import evaluate_ranking
from tf_e2egrec.retrieval.graph_flow import graph_flow
from tf_e2egrec.retrieval.interactions import Interactions
from tf_e2egrec.retrieval.splits import split_interactions
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, generate_short_video

# %% [markdown]
# ## Clicks, and nothing else
# No features, no impressions: who clicked what. A tenth of each user's videos is tested, a tenth validates.
# (On files, `e2egrec recommend DATASET.yaml --out DIR` does all of this, and stops at the best epoch.)

# %%
tables = generate_short_video(ShortVideoConfig(users=3000, videos=800, days=7, impressions=200_000))
log = tables["interactions"].to_pandas()
clicks = log[log.is_click > 0]
settings = {"epochs": 30, "batch_size": 1024}
spec = RecommendSpec.model_validate(
    {
        "dim": 32,
        "top": [20],
        "mf": {**settings, "learning_rate": 0.01},
        "lightgcn": {**settings, "learning_rate": 0.01},
        "lightgode": {**settings, "learning_rate": 0.01, "batch_size": 256, "epochs": 15, "gamma": 1.0},
    }
)
split = split_interactions(
    Interactions(clicks.user_id.to_numpy(), clicks.video_id.to_numpy(), clicks.time_ms.to_numpy()),
    spec,
    seed=0,
)
graph = UserItemGraph(split.train)
print(
    f"{graph.users:,} users, {graph.items:,} videos, {split.train.nnz:,} pairs to train, {split.test.nnz:,} to test"
)


# %%
def ndcg(table, of):
    """NDCG@20 of a table of user and item vectors, all items ranked."""
    seen = split.train if of is split.valid else split.train + split.valid
    return evaluate_ranking(table[: graph.users], table[graph.users :], seen, of, [20])["ndcg@20"]


def trained(name):
    """The fitted model, and the seconds its training took."""
    model, how = compiled_recommender(name, graph, spec, seed=0), settings_of(name, spec)
    began = time.process_time()
    model.fit(
        training_batches(split.train, how.batch_size, 0, how.epochs),
        epochs=how.epochs,
        steps_per_epoch=steps_per_epoch(split.train, how.batch_size),
        verbose=0,
    )
    return model, time.process_time() - began


models, rows = {}, []
for name in ("mf", "directau", "lightgcn"):
    models[name], seconds = trained(name)
    table = tf.concat(models[name].vectors(), axis=0)
    rows.append({"model": name, "CPU s of training": round(seconds, 1), "NDCG@20": ndcg(table, split.test)})

# %% [markdown]
# ## Convolving afterwards
# What is in `embeddings` was trained without the graph. LightGCN's mean over K hops, and the flow `dz/dt = Âz
# + E` up to a time t, move every vector towards its neighbours. K and t are chosen by the validation pairs.

# %%
HOPS, TIMES = range(9), [0.0, 0.5, 1.0, 1.8, 3.0, 5.0, 8.0, 16.0, 32.0]
found = {}
for name in ("mf", "directau"):
    embeddings = tf.convert_to_tensor(models[name].embeddings)
    found[name, "hops"] = [light_gcn_convolution(graph, embeddings, hops) for hops in HOPS]
    found[name, "t"] = [graph_flow(graph, embeddings, t) for t in TIMES]

figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), sharey=True)
for name in ("mf", "directau"):
    axes[0].plot(HOPS, [ndcg(table, split.valid) for table in found[name, "hops"]], "o-", label=name)
    axes[1].plot(TIMES, [ndcg(table, split.valid) for table in found[name, "t"]], "o-", label=name)
axes[0].set(xlabel="hops of LightGCN's mean, after training", ylabel="validation NDCG@20")
axes[1].set(xlabel="t of LightGODE's flow, after training")
axes[1].legend()
figure.tight_layout()
plt.show()

# %%
for name in ("mf", "directau"):
    for kind, values in (("hops", HOPS), ("t", TIMES)):
        best = int(np.argmax([ndcg(table, split.valid) for table in found[name, kind]]))
        rows.append(
            {
                "model": f"{name}, then {kind} = {values[best]}",
                "CPU s of training": 0.0,
                "NDCG@20": ndcg(found[name, kind][best], split.test),
            }
        )
results = pd.DataFrame(rows).set_index("model")
popular = np.asarray(split.train.sum(axis=0)).ravel()
by_popularity = tf.constant(np.r_[np.ones((graph.users, 1)), popular[:, None]], tf.float32)
results.loc["popular videos"] = [0.0, ndcg(by_popularity, split.test)]
print(results.sort_values("NDCG@20").to_string(float_format="{:.4f}".format))

# %% [markdown]
# ## How far does convolution move the vectors?
# Mean distance between the direction of a vector before and after (0: the same, 2: opposite). A model that is
# trained without convolution is not prepared for a large one; the authors call it the embedding discrepancy.

# %%
for name in ("mf", "directau"):
    distances = embedding_discrepancy(graph, tf.convert_to_tensor(models[name].embeddings), 4)
    print(
        f"{name:>9}: "
        + ", ".join(f"{hops} hops {distance:.3f}" for hops, distance in enumerate(distances, 1))
    )

# %% [markdown]
# ## What to take from it
# Read the table: how much the convolution adds to each, how near that comes to LightGCN, and in how many CPU
# seconds. On this log the data decide, and on other data it may come out otherwise: `docs/retrieval.md` has
# Amazon Beauty, where alignment and uniformity without any graph are nearly as good as with the flow, and
# Gowalla.

# %%
after = results.loc[[name for name in results.index if name.startswith("mf, then")], "NDCG@20"].max()
print(f"convolution after training changes mf by {after / results.loc['mf', 'NDCG@20'] - 1:+.0%}")
assert results.loc["lightgcn", "NDCG@20"] > 0
assert np.isfinite(results["NDCG@20"]).all()

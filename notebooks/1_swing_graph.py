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
# # 1. What does the Swing graph see?
#
# Swing links two items that the same users clicked. Each pair of users that two items share adds to their
# edge, the less, the more else the two users have in common. Here the graph of a generated short-video log is
# built in memory; then come one video's neighbours, and what the parameters do.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tf_e2egrec import SwingSpec, swing_edges
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, generate_short_video

tables = generate_short_video(
    ShortVideoConfig(users=4000, videos=800, days=7, impressions=200_000), truth=True
)
log = tables["interactions"].to_pandas()
clicks = log[log.is_click > 0]
print(f"{len(log):,} impressions, {len(clicks):,} clicks")

# %%
edges = swing_edges(
    clicks.user_id.to_numpy(), clicks.video_id.to_numpy(), clicks.time_ms.to_numpy(), SwingSpec(top=50)
)
print(
    f"{len(edges):,} edges into {len(np.unique(edges.target)):,} of {clicks.video_id.nunique():,} clicked videos"
)
for name, count in edges.counters.items():
    print(f"  {name}: {count:,}")

# %% [markdown]
# `users_below_min` counts users with fewer than three clicked videos (`min_behaviours`): they say nothing
# about pairs. A video has no edge where no two users share it and another one.
#
# ## One video's neighbours
# The generator knows the hidden niche of each video, which no feature shows. Do neighbours share it? Take a
# video with a middling number of neighbours: a very popular one is clicked by everybody, and its neighbours
# come from everywhere.

# %%
videos = tables["videos"].to_pandas().set_index("video_id")
targets, counts = np.unique(edges.target, return_counts=True)
video = targets[np.argsort(counts, kind="stable")[len(counts) // 2]]
mine = edges.target == video
neighbours = videos.loc[edges.source[mine], ["category", "niche", "duration_s"]].assign(
    weight=edges.weight[mine]
)
print(f"video {video}: category {videos.category[video]}, niche {videos.niche[video]}")
print(neighbours.head(10).to_string())

# %% [markdown]
# ## Why are they neighbours?
# The users that clicked both, and how much else each of them clicked: a user who clicks everything is a weak
# witness.

# %%
nearest = neighbours.index[0]
both = set(clicks.user_id[clicks.video_id == video]) & set(clicks.user_id[clicks.video_id == nearest])
activity = clicks[clicks.user_id.isin(both)].groupby("user_id").video_id.nunique().sort_values()
print(f"{len(both)} users clicked both {video} and {nearest}; videos that each of them clicked:")
print(activity.to_string())
assert len(both) >= 2

# %%
niche = videos.niche


def within_niche(edges):
    """Share of the edges whose ends share a niche."""
    return float((niche.loc[edges.source].to_numpy() == niche.loc[edges.target].to_numpy()).mean())


shuffled = np.random.default_rng(0).permutation(edges.source)
by_chance = float((niche.loc[shuffled].to_numpy() == niche.loc[edges.target].to_numpy()).mean())
print(f"edges within a niche: {within_niche(edges):.1%}; with shuffled ends: {by_chance:.1%}")
assert within_niche(edges) > 1.5 * by_chance

# %% [markdown]
# ## Degrees and weights
# Every video has at most `top` neighbours; how often it is one is not bounded. Weights spread over several
# powers of ten, which is why neighbours are sampled by `weight ** beta`.

# %%
degree = np.unique(edges.source, return_counts=True)[1]
figure, axes = plt.subplots(1, 3, figsize=(12, 3))
axes[0].hist(counts, bins=40)
axes[0].set(title="neighbours of a video", xlabel="edges in", ylabel="videos")
axes[1].hist(degree, bins=40)
axes[1].set(title="how often it is a neighbour", xlabel="edges out")
axes[2].hist(np.log10(edges.weight), bins=40)
axes[2].set(title="edge weights", xlabel="log10 weight")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Moving alpha and beta
# `w_u = 1 / (alpha1 + clicks of u) ** beta` damps active users, and `1 / (alpha2 + shared items)` damps pairs
# of users who share much anyway. With `beta: 0` everybody counts the same (`preset: seed`).
#
# Two figures per setting: the share of edges within a niche, and the share of the edges that the default
# setting has, too.

# %%
TOP = 20


def edges_with(**parameters):
    """Edges of the same clicks with other parameters."""
    return swing_edges(
        clicks.user_id.to_numpy(), clicks.video_id.to_numpy(), spec=SwingSpec(top=TOP, **parameters)
    )


def pairs(edges):
    """(neighbour, video) of every edge."""
    return set(zip(edges.source.tolist(), edges.target.tolist(), strict=True))


usual = pairs(edges_with())
moved = {
    "beta": [0.0, 0.3, 0.5, 1.0, 2.0],
    "alpha1": [0.0, 5.0, 20.0, 100.0],
    "alpha2": [0.0, 0.1, 1.0, 10.0, 100.0],
}
found = {
    name: [
        (value, within_niche(made), len(pairs(made) & usual) / len(usual))
        for value in values
        for made in [edges_with(**{name: value})]
    ]
    for name, values in moved.items()
}
for name, rows in found.items():
    for value, share, kept in rows:
        print(f"{name:>6} {value:>5}: {share:.1%} within a niche, {kept:.1%} of the default's edges")

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3), sharey=True)
for axis, (name, rows) in zip(axes, found.items(), strict=True):
    axis.plot(
        [str(value) for value, _, _ in rows], [share for _, share, _ in rows], "o-", label="within a niche"
    )
    axis.plot(
        [str(value) for value, _, _ in rows], [kept for _, _, kept in rows], "s--", label="as by default"
    )
    axis.axhline(by_chance, color="grey", linewidth=1, label="within a niche by chance")
    axis.set(xlabel=name, ylim=(0, 1.05))
axes[0].set_ylabel("share of the edges")
axes[-1].legend()
figure.tight_layout()
plt.show()

spread = [share for rows in found.values() for _, share, _ in rows]
assert min(spread) > 1.5 * by_chance

# %% [markdown]
# ## What to take from it
# The edges follow the hidden niches at every setting, several times as often as chance. On a log of this size
# the parameters exchange few of the heaviest neighbours: what the clicks say matters more than how they are
# weighed. They change the weights, and so which neighbours are sampled. Which setting is best for a ranker is
# a question for `e2egrec compare`, with models such as `R5@graph.swing.beta=0`.

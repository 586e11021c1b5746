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
# # 6. How does a model reach its callers, and how is it taken back?
#
# Two models are trained on a generated log: the ranker alone (R0) and the full model (R5). R0 is served
# first. Then R5 comes as a new version: tried beside the old one, promoted, and rolled back. A broken version
# is refused on the way. The server is TensorFlow Serving where it is installed, else the development server;
# the commands are the same.

# %%
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pyarrow.dataset as pads
import yaml

from serving.client import RankingClient
from serving.server_command import start_server

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
# ## Two models, two versions

# %%
assert e2egrec(f"synthesize {work}/data --users 1000 --videos 400 --days 5 --impressions 20000") == 0
path = work / "data/dataset.yaml"
content = yaml.safe_load(path.read_text())
content["training"] |= {"epochs": 1, "batch_size": 512}
content["model"] = {"dim": 16, "heads": 2, "tower_units": [16]}
path.write_text(yaml.safe_dump(content, sort_keys=False))
assert e2egrec(f"swing {path} --out {work}/run") == 0
assert e2egrec(f"subgraphs {path} --out {work}/run") == 0
assert e2egrec(f"train {path} --out {work}/run --models R0,R5") == 0

# %% [markdown]
# An export is tried in a fresh process before it appears: it is loaded without this project's code, and its
# answers are compared with the Python model's. `--not-worse-than-live` would refuse a worse model; it is left
# out here, because one epoch on a small log says little about either of them.

# %%
models = work / "models/ranker"
assert e2egrec(f"export {work}/run --model R0 --to {models}") == 0
assert e2egrec(f"export {work}/run --model R5 --to {models}") == 0
print(sorted(path.name for path in models.iterdir()))

# %% [markdown]
# ## The server
# `models.config` says which versions are loaded and what callers call them. At first there is version 1,
# `stable`.

# %%
config = work / "models/models.config"
config.write_text(f"""
model_config_list {{
  config {{
    name: "ranker"
    base_path: "{models}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
""")
server = start_server(model_config_file=config, port=0, rest_port=0)
print(server.kind, "gRPC", server.target, "REST", server.rest_target)

# %% [markdown]
# In a terminal that is `e2egrec serve --config models.config --port 8500 --rest-port 8501`.
#
# ## A request
# A user, items to rank, and what the user engaged with, newest first.

# %%
log = pads.dataset(work / "data/interactions").to_table().to_pandas()
clicks = log[log.is_click > 0].sort_values("time_ms")
user = int(clicks.user_id.value_counts().index[0])
recent = clicks[clicks.user_id == user].video_id.iloc[::-1].head(5).tolist()
candidates = log.video_id.value_counts().head(8).index.tolist()
context = {"time": int(log.time_ms.max()), "position": 1.0}

with RankingClient(server.target, "ranker") as client:
    answer = client.rank(user, candidates, recent=recent, context=context, version="stable")
print(f"version {answer.version} ranks for user {user}:")
for item, reward, stay, score in zip(
    answer.item_ids, answer.reward, answer.stay_seconds, answer.score, strict=True
):
    print(f"  {item}: {reward:.3f} probability of a click, {stay:.1f} s, score {score:.4f}")

# %% [markdown]
# The same over REST, as any language can send it:

# %%
body = {
    "signature_name": "rank",
    "inputs": {
        "user_id": [user],
        "time": [context["time"]],
        "position": [1.0],
        "recent": [recent],
        "num_recent": [len(recent)],
        "candidates": [candidates],
        "num_candidates": [len(candidates)],
    },
}
url = f"http://{server.rest_target}/v1/models/ranker/labels/stable:predict"
with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as response:
    outputs = json.load(response)["outputs"]
print({name: [round(value, 3) for value in values[0][:3]] for name, values in outputs.items()})
assert abs(max(outputs["score"][0]) - float(answer.score[0])) < 1e-4

# %% [markdown]
# ## Canary
# The newest version is loaded beside the stable one and answers its own warm-up records; then callers who ask
# for `canary` get it. The printed difference says how far its scores are from the stable version's.

# %%
assert e2egrec(f"rollout canary {config} --target {server.target}") == 0
with RankingClient(server.target, "ranker") as client:
    for label in ("stable", "canary"):
        answer = client.rank(user, candidates, recent=recent, context=context, version=label)
        print(f"{label:>6} is version {answer.version}: {answer.item_ids.tolist()}")
    assert answer.version == 2

# %% [markdown]
# ## A broken version
# A copy that was interrupted: the canary is refused, and nothing has changed for anybody.

# %%
shutil.copytree(models / "2", models / "3", ignore=shutil.ignore_patterns("variables.data*"))
assert e2egrec(f"rollout canary {config} --target {server.target}") == 2
shutil.rmtree(models / "3")

# %% [markdown]
# ## Promote, and back

# %%
assert e2egrec(f"rollout promote {config} --target {server.target}") == 0
assert e2egrec(f"rollout status {config} --target {server.target}") == 0

# %%
assert e2egrec(f"rollout rollback {config} --target {server.target}") == 0
with RankingClient(server.target, "ranker") as client:
    answer = client.rank(user, candidates, recent=recent, context=context, version="stable")
print("stable is version", answer.version, "again")
assert answer.version == 1
server.stop()

# %% [markdown]
# `docs/runbook.md` has the same with several servers, and what to look at before promoting; `e2egrec
# loadtest` measures latencies.

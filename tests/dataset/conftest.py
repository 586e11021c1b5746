import copy

import pytest
import yaml

from tf_e2egrec.dataset.description import parse_description

LOG = {
    "paths": "log.parquet",
    "user": "user",
    "item": "item",
    "time": {"column": "time", "unit": "ms"},
    "behaviours": {"click": {"column": "click"}},
}
BASE = {
    "name": "test",
    "interactions": [LOG],
    "ranker": {"reward": "click"},
    "graph": {"positive": ["click"], "explicit": ["click"]},
    "split": {"by": "user_fraction", "train_until": 0.8, "valid_until": 0.9},
}


@pytest.fixture(scope="session")
def describe():
    """A description with changes: `log` updates the one log, `logs` gives several, other keys are at the top."""

    def make(log=None, logs=None, **changes):
        content = copy.deepcopy(BASE)
        content["interactions"] = [{**LOG, **one} for one in logs] if logs else [{**LOG, **(log or {})}]
        for key, value in changes.items():
            both_map = isinstance(value, dict) and isinstance(content.get(key), dict)
            content[key] = {**content[key], **value} if both_map else value
        return parse_description(yaml.safe_dump(content, sort_keys=False), "test.yaml")

    return make

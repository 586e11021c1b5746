import copy

import pytest
import yaml

from tf_e2egrec.dataset.description import load_description, parse_description
from tf_e2egrec.errors import E2EGRecError

VALID = {
    "name": "shop",
    "interactions": {
        "paths": "log-*.csv.gz",
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {"click": {"column": "click"}, "buy": {"column": "event", "in": ["buy"]}},
        "stay": {"column": "seconds"},
        "context": [{"name": "device", "type": "categorical"}],
    },
    "items": {"paths": "items.parquet", "id": "item", "features": [{"name": "price", "type": "numeric"}]},
    "ranker": {"reward": "click"},
    "graph": {"positive": ["click"], "explicit": ["buy"]},
    "split": {"by": "time", "train_until": "2024-05-01", "valid_until": "2024-05-02"},
}
_DELETE = object()


def _changed(path, value):
    """YAML text of the valid description with one key changed, `a.b.c` from the top."""
    content = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    here = content
    for key in parents:
        here = here.setdefault(key, {})
    if value is _DELETE:
        del here[last]
    else:
        here[last] = value
    return yaml.safe_dump(content, sort_keys=False)


def _load(tmp_path, text):
    (tmp_path / "shop.yaml").write_text(text)
    return load_description(tmp_path / "shop.yaml")


def test_a_valid_description(tmp_path):
    description = _load(tmp_path, yaml.safe_dump(VALID, sort_keys=False))
    assert description.behaviour_names == ["click", "buy"]
    assert description.domains == ["item"]
    assert description.interactions[0].file_format == "csv"
    assert [feature.name for feature in description.context_features] == ["device"]
    assert description.has_stay
    assert not description.time_is_rank
    assert description.data_root == str(tmp_path)
    assert load_description(tmp_path / "shop.yaml", data_root="gs://bucket").data_root == "gs://bucket"


def test_words_in_in_are_words(tmp_path):
    text = yaml.safe_dump(VALID, sort_keys=False).replace("- buy\n", "- yes\n", 1)
    assert "- yes\n" in text
    assert _load(tmp_path, text).interactions[0].behaviours["buy"].in_ == ["yes"]


@pytest.mark.parametrize("path", ["items", "interactions.context"])
def test_a_name_with_a_space_is_told_of_column(tmp_path, path):
    feature = [{"name": "price (EUR)", "type": "numeric"}]
    value = {**VALID["items"], "features": feature} if path == "items" else feature
    said = r"a name here begins with a letter .*; `column` may say what the column is called. Received: 'price \(EUR\)'"
    with pytest.raises(E2EGRecError, match=said):
        _load(tmp_path, _changed(path, value))


_RANK = {"column": "t", "unit": "rank"}
_LOG = VALID["interactions"]

# key, value -> what the sentence must name: the key, the value or the close name, the choices
MISTAKES = [
    ("serch", 1, ["`serch`", "valid keys here are name, seed"]),
    ("interactions.usr", "u", ["`interactions.0.usr`", "did you mean `user`?", "behaviours"]),
    ("graph.swing.topp", 5, ["`graph.swing.topp`", "did you mean `top`?", "max_behaviours"]),
    ("ranker.reward", "like", ["`ranker.reward`", "`like`", "click, buy"]),
    ("graph.positive", ["like"], ["`graph.positive`", "`like`", "click, buy"]),
    ("graph.explicit", [], ["`graph.explicit`", "[]"]),
    ("name", _DELETE, ["`name` is missing"]),
    ("interactions.user", _DELETE, ["user` is missing"]),
    ("interactions.time.unit", "hours", ["time.unit`", "'hours'", "'ms'", "'rank'"]),
    ("interactions.feeds", "model", ["feeds`", "'model'", "'ranker', 'graph' or 'both'"]),
    ("interactions.feeds", "graph", ["`feeds: graph`", "`graph.regime: cross-domain`"]),
    ("interactions.paths", [], ["paths`", "[]"]),
    ("interactions.paths", "log.xls", ["`log.xls`", "parquet, csv or jsonl"]),
    ("interactions.behaviours.click", {}, ["click`", "`column` or `always: true`"]),
    (
        "interactions.behaviours.click",
        {"column": "c", "at_least": 1, "in": [2]},
        ["`at_least` or `in`, not both"],
    ),
    ("interactions.stay", {"column": "s", "gap_to_next": True}, ["`column` or `gap_to_next: true`"]),
    ("interactions.stay", {"column": "s", "maximum": 0}, ["maximum`", "greater than 0", "0"]),
    (
        "interactions.context",
        [{"name": "c", "column": "click", "type": "numeric"}],
        ["`c`", "`click`", "after the exp"],
    ),
    ("interactions.context", [{"name": "9c", "type": "numeric"}], ["name`", "'9c'"]),
    ("interactions.context", [{"name": "reward", "type": "numeric"}], ["`reward` is reserved"]),
    ("interactions.context", [{"name": "d", "type": "dense"}], ["`d`", "`dimension`"]),
    (
        "interactions.context",
        [{"name": "d", "type": "dense", "dimension": 2}],
        ["`d`", "single-valued categorical"],
    ),
    ("interactions.context", [{"name": "device", "type": "numeric"}] * 2, ["`device` is used twice"]),
    ("items.domain", "video", ["`items.domain`", "`video`", "item"]),
    ("items.features", [], ["features`", "[]"]),
    ("ranker.rows", [{"users_share": 0.1, "domain": "item"}], ["exactly one of the forms", "{users_share}"]),
    ("ranker.rows", [{"column": "tab"}], ["both `column` and `in`"]),
    ("ranker.rows", [{"users_share": 2}], ["users_share`", "less than or equal to 1", "2"]),
    ("ranker.derived", ["weather"], ["derived", "'weather'", "'item_age'"]),
    ("ranker.negatives", {"per_positive": 0}, ["per_positive`", "0"]),
    ("graph.rows", [{"domain": "item"}], ["`graph.rows`", "`graph.regime: equal`"]),
    ("graph.swing", {"beta": -0.5}, ["`beta` is -0.5", "0 or more"]),
    ("graph.swing", {"preset": "best"}, ["preset`", "'best'", "'pai', 'paper' or 'seed'"]),
    ("graph.swing", {"min_behaviours": 9, "max_behaviours": 3}, ["`min_behaviours` (9)", "(3)"]),
    ("graph.snapshots", {"refresh": "once"}, ["`graph.snapshots.refresh: once`", "`split.labels_from`"]),
    ("split.by", "user", ["split.by`", "'user'", "'time' or 'user_fraction'"]),
    ("split.train_until", "2024-05-03", ["the bounds must increase", "train_until=2024-05-03"]),
    ("split.train_until", 0.8, ["`train_until` must be a date", "0.8"]),
    ("split.by", "user_fraction", ["`train_until` must be a fraction", "2024-05-01"]),
    ("interactions.time", _RANK, ["`split.by` must be `user_fraction`", "`time.unit` is `rank`"]),
    ("interactions", [_LOG, {**_LOG, "time": _RANK}], ["every log or none", "`time.unit: rank`"]),
    ("bad_rows", "few", ["`bad_rows`", "'few'"]),
    ("training.order", "random", ["training.order`", "'random'", "'shuffle' or 'time'"]),
    ("model.fusion", "sum", ["model.fusion`", "'sum'", "'gate+attention'"]),
]


@pytest.mark.parametrize(
    ("path", "value", "named"), MISTAKES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_gives_one_sentence_that_names_it(path, value, named):
    with pytest.raises(E2EGRecError) as caught:
        parse_description(_changed(path, value), "shop.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("shop.yaml: ")
    assert "\n" not in sentence
    for part in named:
        assert part in sentence


def test_how_often_to_learn_is_read_before_anything_is_trained():
    with pytest.raises(E2EGRecError, match=r"`evaluation\.update_every` must be a duration such as"):
        parse_description(_changed("evaluation.update_every", "soon"), "test")
    every = parse_description(_changed("evaluation.update_every", "1h"), "test").evaluation.update_every
    assert every == "1h"


def test_gaps_need_real_times():
    content = copy.deepcopy(VALID)
    content["interactions"].update(time=_RANK, stay={"gap_to_next": True})
    content["split"] = {"by": "user_fraction", "train_until": 0.8, "valid_until": 0.9}
    with pytest.raises(E2EGRecError, match=r"`stay.gap_to_next` needs real times"):
        parse_description(yaml.safe_dump(content, sort_keys=False), "shop.yaml")


def test_a_context_feature_has_one_type():
    content = copy.deepcopy(VALID)
    second = {**_LOG, "context": [{"name": "device", "type": "numeric"}]}
    content["interactions"] = [_LOG, second]
    with pytest.raises(E2EGRecError, match="`device` has two types"):
        parse_description(yaml.safe_dump(content, sort_keys=False), "shop.yaml")


def test_too_many_domains():
    content = copy.deepcopy(VALID)
    content["interactions"] = [{**_LOG, "domain": f"d{i}"} for i in range(17)]
    with pytest.raises(E2EGRecError, match="17 item domains; at most 16"):
        parse_description(yaml.safe_dump(content, sort_keys=False), "shop.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1", "not valid YAML near line"), ("- a", "must be a mapping with the keys name"), ("", "must be")],
)
def test_text_that_is_no_description(text, said):
    with pytest.raises(E2EGRecError, match=rf"shop.yaml.*{said}"):
        parse_description(text, "shop.yaml")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(E2EGRecError, match=r"no.yaml does not exist"):
        load_description(tmp_path / "no.yaml")
    with pytest.raises(E2EGRecError, match="cannot be read"):
        load_description(tmp_path)
    (tmp_path / "utf16.yaml").write_text("name: x", encoding="utf-16")
    with pytest.raises(E2EGRecError, match="must be a UTF-8 text file"):
        load_description(tmp_path / "utf16.yaml")

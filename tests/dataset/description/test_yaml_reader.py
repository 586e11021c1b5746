"""Words that YAML 1.1 takes for true and false."""

import pytest
import yaml

from tf_e2egrec.dataset.description.yaml_reader import read_yaml


@pytest.mark.parametrize("word", ["yes", "Yes", "NO", "no", "on", "Off", "y", "n"])
def test_words_stay_words(word):
    assert read_yaml(f"in: [{word}]") == {"in": [word]}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_true_and_false(text, value):
    assert read_yaml(text) is value


def test_everything_else_is_as_ever():
    text = "a: [1, 2.5, ~, '3', 2026-01-02, 0x1F, text, no!]\nb: {c: }\n"
    assert read_yaml(text) == yaml.safe_load(text)


def test_what_is_dumped_is_read_back():
    content = {"in": ["yes", "no", "true", True, 1, "1", "on"]}
    assert read_yaml(yaml.safe_dump(content)) == content


def test_the_loader_of_others_is_untouched():
    assert yaml.safe_load("yes") is True

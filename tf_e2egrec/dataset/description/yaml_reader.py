"""YAML as description files mean it."""

import re
from typing import Any

import yaml


class WordLoader(yaml.SafeLoader):
    """Reads `yes`, `no`, `on` and `off` as words, which YAML 1.1 takes for true and false.

    Values of a log's columns stand in descriptions (`in: [yes]`, `in: [NO, SE]`), and columns hold such words.
    """


_BOOLEAN = "tag:yaml.org,2002:bool"
WordLoader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
WordLoader.add_implicit_resolver(
    _BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str) -> Any:
    """The content of YAML text.

    Raises:
      yaml.YAMLError: it is none.

    Example:
      >>> read_yaml("{in: [yes, no], normalise: true}")
      {'in': ['yes', 'no'], 'normalise': True}
    """
    loader = WordLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()

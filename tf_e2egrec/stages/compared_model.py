"""`ComparedModel`: a model of a comparison, with settings of its own."""

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Self

import yaml

from tf_e2egrec.dataset.description import DatasetDescription, parse_description
from tf_e2egrec.dataset.description.graph_spec import HETEROGENEOUS_KEYS
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models.variant import VARIANTS, variant_named

_SHARED_PARTS = ("training", "model", "evaluation")  # which no graph and no subgraph depends on
_NEXT_SETTING = re.compile(r"\+(?=\s*[\w.]+\s*=)")  # the plus of `gate+attention` begins none
_LONGEST_NAME = (
    180  # bytes, of 255 that a file system allows: `-seed-0.json` and staging directories need some
)

_ROWS = "would change which rows are compared"
_DATA = "would change the data"
_NO_PART = "has no part in the training of one model"
_SAME_FOR_ALL = {
    **dict.fromkeys(("split", "interactions", "seed", "bad_rows"), _ROWS),
    **dict.fromkeys(("ranker.reward", "ranker.rows", "ranker.negatives"), _ROWS),
    **dict.fromkeys(("name", "items", "users"), _DATA),
    **dict.fromkeys(("training.models", "comparison"), _NO_PART),
    **dict.fromkeys((f"graph.{key}" for key in HETEROGENEOUS_KEYS), _NO_PART),
    "evaluation.protocol": "would change how the test rows are met",
}


@dataclasses.dataclass(frozen=True)
class ComparedModel:
    """A variant and what it has otherwise than the description, such as `R5@graph.sampling.fanout=5+training.epochs=2`.

    Example:
      >>> model = ComparedModel.parse("R5@graph.swing.beta=0+model.fusion=gate+attention")
      >>> model.variant, dict(model.overrides)
      ('R5', {'graph.swing.beta': 0, 'model.fusion': 'gate+attention'})

    Attributes:
      text: as given; reports call the model by it.
      variant: the name of a `Variant`.
      overrides: key of the description file -> value, as YAML reads it.
    """

    text: str
    variant: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME` or `NAME@KEY=VALUE[+KEY=VALUE...]`.

        Raises:
          E2EGRecError: there is no such variant, a setting is not KEY=VALUE, or its key is the same for all models.
        """
        variant, at, settings = text.strip().partition("@")
        variant_named(variant)
        overrides: dict[str, Any] = {}
        for setting in _NEXT_SETTING.split(settings) if at else []:
            key, equals, value = (part.strip() for part in setting.partition("="))
            if not (key and equals and value):
                raise _mistake(text, f"`{setting}` should be KEY=VALUE, as in {variant}@training.epochs=2")
            if key in overrides:
                raise _mistake(text, f"`{key}` is set twice")
            overrides[key] = _value(text, key, value)
            _require_own(text, key, overrides[key])
        if len(file_name(text.strip()).encode()) > _LONGEST_NAME:
            raise _mistake(text, "has too many settings for a file name; set some in the description")
        return cls(text.strip(), variant, overrides)

    def described(self, description: DatasetDescription) -> DatasetDescription:
        """The description with this model's settings.

        Raises:
          E2EGRecError: a key or a value is wrong; the sentence names the model, the key, and what is close to it.
        """
        if not self.overrides:
            return description
        content = description.model_dump(mode="python", by_alias=True)
        for key, value in self.overrides.items():
            set_key(content, key, value, f"the model `{self.text}`")
        origin = f"the model `{self.text}`"
        try:
            made = parse_description(yaml.safe_dump(content), origin)
        except E2EGRecError as error:  # a wrong duration does not say where it stands
            raise error if str(error).startswith(origin) else _mistake(self.text, str(error)) from None
        return made.with_data_root(description.data_root)

    def own_graph(self, description: DatasetDescription) -> dict[str, Any]:
        """The settings that ask for another graph than the description's, by key, as the description reads their values."""
        changed = self._changed(description, self.overrides)
        return {key: value for key, value in changed.items() if key.partition(".")[0] not in _SHARED_PARTS}

    def with_settings(self, settings: Mapping[str, Any], description: DatasetDescription) -> Self:
        """A copy with further settings; those that change nothing are left out of its text, so that equal models are one.

        Raises:
          E2EGRecError: as `parse` and `described`.
        """
        texts = [f"{key}={yaml_text(value)}" for key, value in settings.items()]
        whole = type(self).parse(self._text_with(texts))
        changed = whole._changed(description, settings)
        return type(self).parse(
            self._text_with([f"{key}={yaml_text(value)}" for key, value in changed.items()])
        )

    def settings_of(self, description: DatasetDescription, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The values that this model has for some keys, as the description reads them."""
        content = self.described(description).model_dump(mode="json", by_alias=True)
        return {key: get_key(content, key) for key in keys}

    def _changed(self, description: DatasetDescription, keys: Mapping[str, Any]) -> dict[str, Any]:
        before = description.model_dump(mode="json", by_alias=True)
        after = self.described(description).model_dump(mode="json", by_alias=True)
        return {
            key: get_key(after, key) for key in sorted(keys) if get_key(after, key) != get_key(before, key)
        }

    def _text_with(self, texts: list[str]) -> str:
        if not texts:
            return self.text
        return self.text + ("+" if "@" in self.text else "@") + "+".join(texts)


def split_models(text: str) -> list[str]:
    """The texts between the commas, but those within brackets.

    Example:
      >>> split_models("R0, R5@model.layer_weights=[0.9,0.1],")
      ['R0', 'R5@model.layer_weights=[0.9,0.1]']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def set_key(content: dict[str, Any], key: str, value: Any, origin: str) -> None:
    """Set `graph.sampling.fanout` in nested mappings, which are made where they are missing.

    Raises:
      E2EGRecError: what should hold the key holds none; `origin` is what the sentence begins with.
    """
    *path, last = key.split(".")
    for depth, part in enumerate(path):
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise E2EGRecError(
                f"{origin}: `{'.'.join(path[: depth + 1])}` has no keys, so there is no `{key}`"
            )
    content[last] = value


def get_key(content: Mapping[str, Any], key: str) -> Any:
    """What `graph.sampling.fanout` is in nested mappings; None where it is missing."""
    found: Any = content
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def yaml_text(value: Any) -> str:
    """A value on one line, as a description file would hold it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def _value(text: str, key: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise _mistake(text, f"the value of `{key}` is not valid YAML. Received: {value}") from None


def _require_own(text: str, key: str, value: Any) -> None:
    """Refuse a key that has to be the same for all models, and a whole part of the description."""
    parts = key.split(".")
    for length in range(1, len(parts) + 1):
        reason = _SAME_FOR_ALL.get(".".join(parts[:length]))
        if reason:
            raise _mistake(
                text, f"`{key}` {reason}, and is the same for all models; set it in the description"
            )
    if key == "graph.edges":
        controls = ", ".join(name for name, one in VARIANTS.items() if one.edges != "swing")
        raise _mistake(text, f"`{key}` follows from the model's name; name one of {controls}")
    if (len(parts) == 1 and key in DatasetDescription.model_fields) or isinstance(value, dict):
        raise _mistake(text, f"`{key}` is more than one key; set each by itself, as in training.epochs=2")


def _mistake(text: str, what: str) -> E2EGRecError:
    return E2EGRecError(f"the model `{text}`: {what}")


def file_name(model: str) -> str:
    """A model's text as a file name: a variant is its own.

    Example:
      >>> file_name("R5@model.layer_weights=[0.9,0.1]")
      'R5@model.layer_weights=%5B0.9,0.1%5D'
    """
    return urllib.parse.quote(model, safe="@=+,")


def model_of(name: str) -> str:
    """The model's text, given its file name."""
    return urllib.parse.unquote(name)

"""The reference of the description file, generated from its models: docs/description_file.md."""

import json
import re
import types
import typing
from typing import Any

import pydantic

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription

_ENTRY = re.compile(r"^([\w_, ]+): (.*)$")


def description_reference() -> str:
    """Markdown: one table per part of the file, every key with type, default and meaning.

    A test holds docs/description_file.md to it; `python -m tf_e2egrec.dataset.description.reference` prints it.
    """
    parts = ["# The data set description file", "", _INTRODUCTION]
    models = _models(DatasetDescription, "")
    described = {model: path for path, model in models}
    for path, model in models:
        parts += [
            "",
            f"## {f'`{path}`' if path else 'Top level'}",
            "",
            (model.__doc__ or "").split("\n\n")[0],
            "",
        ]
        parts += ["| key | type | default | meaning |", "|---|---|---|---|"]
        meanings = _meanings(model)
        for name, field in model.model_fields.items():
            key = field.alias or name
            default = "required" if field.is_required() else f"`{_default(field)}`"
            meaning = meanings.get(name, "").replace("|", "\\|")
            for inner in _models_in(field.annotation):
                if described[inner] != f"{path}.{key}".strip("."):
                    meaning += f" Keys as in `{described[inner]}`."
            parts.append(f"| `{key}` | {_type(field.annotation)} | {default} | {meaning} |")
    return "\n".join(parts) + "\n"


_INTRODUCTION = """One YAML file tells the program everything it knows about a data set before it reads the first row. Every name
used later (GraphSchema, node tables, signatures) comes from it. A mistake is answered with one sentence that names the key, the value
and the valid choices. Where a key takes a list of mappings, one mapping will do.

A value is missing where a cell is empty (CSV), null or NaN. Features and stays may be missing; a missing behaviour did not happen; a row
without user, item or time is left out and counted (`bad_rows`). `yes`, `no`, `on` and `off` are words here, such as a column may hold;
`true` and `false` are not."""


def _models(model: type[pydantic.BaseModel], path: str) -> list[tuple[str, type[pydantic.BaseModel]]]:
    """The model and those of its fields, depth first, each once."""
    found = [(path, model)]
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            nested = _models(inner, f"{path}.{field.alias or name}".strip("."))
            found += [(p, m) for p, m in nested if all(m is not seen for _, seen in found)]
    return found


def _models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, pydantic.BaseModel) else []
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _meanings(model: type[pydantic.BaseModel]) -> dict[str, str]:
    """Meaning per key, from the docstrings' `Attributes` of the class and its bases."""
    meanings: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not (issubclass(cls, pydantic.BaseModel) and "Attributes:" in (cls.__doc__ or "")):
            continue
        names: list[str] = []
        for line in (cls.__doc__ or "").split("Attributes:")[1].split("\n"):
            text = line.strip()
            entry = _ENTRY.match(text)
            if entry and len(line) - len(line.lstrip()) == 6:
                names = [name.strip() for name in entry[1].split(",")]
                meanings |= dict.fromkeys(names, entry[2])
            elif text and names:
                meanings |= {name: f"{meanings[name]} {text}" for name in names}
    return meanings


def _default(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, pydantic.BaseModel):
        return "{}"
    return default if isinstance(default, str) else json.dumps(default)


_PLAIN = {str: "text", int: "integer", float: "number", bool: "true/false", type(None): "null"}


def _type(annotation: Any) -> str:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return (
            "mapping"
            if issubclass(annotation, pydantic.BaseModel)
            else _PLAIN.get(annotation, annotation.__name__)
        )
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " / ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"name -> {_type(arguments[1])}"
    return " or ".join(_type(argument) for argument in arguments if argument is not type(None))


if __name__ == "__main__":
    print(description_reference(), end="")

"""Reading a description file, and saying in one sentence what is wrong with it."""

import difflib
import types
import typing
from pathlib import Path
from typing import Any

import pydantic
import yaml

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.yaml_reader import read_yaml
from tf_e2egrec.errors import E2EGRecError


def load_description(path: str | Path, data_root: str | Path | None = None) -> DatasetDescription:
    """Read and validate a data set description file.

    Args:
      path: the YAML file.
      data_root: where relative data paths start; the file's own folder when absent.

    Raises:
      E2EGRecError: the file is missing, is not YAML, or a key or value is wrong; the message names key, value
        and choices.

    Example:
      >>> load_description("no-such.yaml")
      Traceback (most recent call last):
      tf_e2egrec.errors.E2EGRecError: the description file no-such.yaml does not exist; check the path
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise E2EGRecError(f"the description file {path} does not exist; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise E2EGRecError(
            f"the description file {path} cannot be read ({error}); it must be a UTF-8 text file"
        ) from None
    description = parse_description(text, str(path))
    return description.with_data_root(str(data_root) if data_root is not None else str(path.resolve().parent))


def parse_description(text: str, origin: str) -> DatasetDescription:
    """Validate YAML text; `origin` is what error messages call it."""
    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise E2EGRecError(f"{origin} is not valid YAML{where}: {said}") from None
    if not isinstance(content, dict):
        raise E2EGRecError(
            f"{origin} must be a mapping with the keys {', '.join(DatasetDescription.model_fields)}"
        )
    try:
        return DatasetDescription.model_validate(content)
    except pydantic.ValidationError as error:
        # A misspelt key shows up twice, as unknown and as missing: the first says more.
        errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        raise E2EGRecError(f"{origin}: {_sentence(errors[0])}") from None


def _sentence(error: Any) -> str:
    location = error["loc"]
    key = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), valid, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return f"unknown key `{key}`; {hint}valid keys here are {', '.join(valid)}"
    if error["type"] == "missing":
        return f"the key `{key}` is missing"
    if error["type"] == "string_pattern_mismatch":
        advice = (
            "; `column` may say what the column is called"
            if ".features." in key or ".context." in key
            else ""
        )
        return (
            f"`{key}`: a name here begins with a letter and goes on with letters, digits and underscores{advice}. "
            f"Received: {error['input']!r}"
        )
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{f'`{key}`: ' if key else ''}{message}"
    return f"`{key}`: {message[0].lower()}{message[1:]}. Received: {error['input']!r}"


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the model found by walking `location` from the top."""
    current: Any = DatasetDescription
    for part in location:
        models = _models_in(current)
        if isinstance(part, int) or not models:
            continue
        field = models[0].model_fields.get(part)
        current = field.annotation if field is not None else current
    models = _models_in(current)
    return [field.alias or name for name, field in models[0].model_fields.items()] if models else []


def _models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """Pydantic models inside an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, pydantic.BaseModel) else []
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]

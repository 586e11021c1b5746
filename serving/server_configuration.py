"""Which models and versions a server serves, as TensorFlow Serving's `--model_config_file` says it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tf_e2egrec.errors import E2EGRecError

PLATFORM = "tensorflow"


def config_of_one_model(name: str, base_path: str | Path) -> Any:
    """What `--model_name` and `--model_base_path` mean: the newest version of one model.

    Args:
      name: the model's name in requests.
      base_path: directory with one integer-named directory per version; made absolute.

    Returns:
      `ModelServerConfig` message.
    """
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=name, base_path=str(Path(base_path).resolve()), model_platform=PLATFORM
    )
    return config


def read_model_config(path: str | Path) -> Any:
    """Read the file of `--model_config_file`: a `ModelServerConfig` message as text.

    Args:
      path: the file.

    Returns:
      `ModelServerConfig` message.

    Raises:
      E2EGRecError: there is no such file, it is no such message, or `check_model_config` refuses it.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
        check_model_config(config)
    except OSError as error:
        raise E2EGRecError(f"{path}: the model configuration cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise E2EGRecError(
            f"{path}: no model configuration ({error}): write it like serving/model_server/models.config"
        ) from error
    except E2EGRecError as error:
        raise E2EGRecError(f"{path}: {error}") from error
    return config


def check_model_config(config: Any) -> None:
    """Check what can be told without looking at the models.

    Args:
      config: `ModelServerConfig` message.

    Raises:
      E2EGRecError: it is no model_config_list, a model has no name or is there twice, a base path is not absolute, or a
        platform is not "tensorflow".
    """
    if config.WhichOneof("config") != "model_config_list":
        raise E2EGRecError("a model_config_list is the only configuration that can be served")
    seen: set[str] = set()
    for model in config.model_config_list.config:
        if not model.name:
            raise E2EGRecError("a model of the model_config_list has no name")
        if model.name in seen:
            raise E2EGRecError(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
        if not Path(model.base_path).is_absolute():
            raise E2EGRecError(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if model.model_platform != PLATFORM:
            raise E2EGRecError(
                f"model {model.name} has the platform {model.model_platform!r}: write '{PLATFORM}' there"
            )


def wanted_versions(policy: Any, found: Collection[int]) -> set[int]:
    """Choose the versions to serve.

    Args:
      policy: `ServableVersionPolicy` message: the newest so many (one where it says nothing), all, or specific ones.
      found: version numbers on disk.

    Returns:
      Those of `found` that the policy asks for.
    """
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return set(found)
    if choice == "specific":
        return set(policy.specific.versions) & set(found)
    return set(sorted(found)[-max(1, policy.latest.num_versions) :])

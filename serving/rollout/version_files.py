"""What a version's directory holds beside the model, and whether it is whole."""

import shutil
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from serving.batching_parameters import PER_MODEL_FILE, BatchingParameters
from tf_e2egrec.errors import E2EGRecError

DEFAULT_BATCHING = Path(__file__).parents[1] / "model_server" / "batching_parameters.txt"


def add_batching_parameters(directory: Path, file: Path | None = None) -> None:
    """Give a version its own batching parameters, which servers read under `--enable_per_model_batching_parameters`.

    Args:
      directory: the version's.
      file: where they are taken from; `DEFAULT_BATCHING` when absent.

    Raises:
      E2EGRecError: the file is missing, or no batching parameters.
    """
    source = DEFAULT_BATCHING if file is None else file
    BatchingParameters.read(source)
    shutil.copyfile(source, directory / PER_MODEL_FILE)


def require_whole(base: Path, version: int) -> Path:
    """Refuse a version that a server would fail to load, or would find half-written.

    Args:
      base: directory above the versions.
      version: its number.

    Returns:
      The version's directory.

    Raises:
      E2EGRecError: there is no such directory, or a file of a SavedModel is missing or cut off.
    """
    directory = base / str(version)
    if not directory.is_dir():
        found = ", ".join(map(str, _numbers(base)))
        raise E2EGRecError(f"{directory}: no such version; {base} holds {found or 'none'}")
    reason = _defect(directory)
    if reason is not None:
        raise E2EGRecError(
            f"{directory} is not a whole version ({reason}); export it again, under another number"
        )
    return directory


def newest_version(base: Path) -> int:
    """The highest number below a base path.

    Raises:
      E2EGRecError: there is none.
    """
    numbers = _numbers(base)
    if not numbers:
        raise E2EGRecError(f"{base} holds no version; export a model there first")
    return numbers[-1]


def _numbers(base: Path) -> list[int]:
    """The versions below a base path, ascending."""
    return sorted(int(one.name) for one in base.glob("[0-9]*") if one.name.isdigit() and one.is_dir())


def _defect(directory: Path) -> str | None:
    """What a SavedModel's directory lacks, None where it lacks nothing."""
    try:
        content = (directory / "saved_model.pb").read_bytes()
        tags = [
            tag
            for graph in saved_model_pb2.SavedModel.FromString(content).meta_graphs
            for tag in graph.meta_info_def.tags
        ]
    except FileNotFoundError:
        return "it has no saved_model.pb"
    except DecodeError:
        return "its saved_model.pb is cut off"
    if "serve" not in tags:
        return "its saved_model.pb holds no graph with the tag `serve`"
    variables = directory / "variables"
    if not (variables / "variables.index").is_file():
        return "it has no variables/variables.index"
    shards = sorted(one.name for one in variables.glob("variables.data-*-of-*"))
    if not shards or len(shards) != int(shards[0].rpartition("-")[2]):
        return "files of variables/ are missing"
    return None

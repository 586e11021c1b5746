"""What this machine has of what the program needs, looked at for `e2egrec doctor`."""

import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from tf_e2egrec.comparison.free_memory import free_memory

PACKAGE = "tf_e2egrec"
_GIB = 1 << 30
_WANTED_DISK = 5 * _GIB  # installation 2 GB, a run of a few million impressions
_WANTED_MEMORY = 4 * _GIB  # one training of the built-in data takes 1.5
_REINSTALL = "pip install --force-reinstall tf_e2egrec"


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
      name: what.
      found: what is there, in words.
      is_sound: whether that is enough.
      is_needed: whether anything fails without it; the rest is for some commands alone.
      advice: how to get it; empty where nothing is missing.
    """

    name: str
    found: str
    is_sound: bool = True
    is_needed: bool = True
    advice: str = ""


def look_around(directory: Path) -> list[Check]:
    """Every check, in the order in which a newcomer meets what is looked at.

    Args:
      directory: where outputs would be written.
    """
    return [
        python_version(),
        *packages(),
        tensorflow_and_keras(),
        gpu(),
        *beam_runners(),
        model_server(),
        plots(),
        disk(directory, "disk, working directory"),
        disk(Path(tempfile.gettempdir()), "disk, temporary files"),
        memory(),
        Check("processors", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} usable"),
    ]


def python_version() -> Check:
    """Python, against what the package's metadata asks for."""
    try:
        asked = importlib.metadata.metadata(PACKAGE)["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        return Check(
            "tf_e2egrec", "not installed", False, advice="`pip install -e .` in the clone, or `make venv`"
        )
    version = platform.python_version()
    is_sound = SpecifierSet(asked).contains(version)
    advice = "" if is_sound else f"install Python {asked}, then `make venv PYTHON=/path/to/it`"
    return Check("Python", f"{version} (asked for: {asked})", is_sound, advice=advice)


def packages(requirements: list[str] | None = None) -> Iterator[Check]:
    """The direct dependencies: one line where all are as asked for, else one for each that is not.

    Args:
      requirements: as `pip` writes them; those of the installed package by default.
    """
    if requirements is None:
        try:
            requirements = importlib.metadata.requires(PACKAGE) or []
        except importlib.metadata.PackageNotFoundError:
            return  # which `python_version` has said
    asked = []
    for text in requirements:
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            asked.append(one)
    wrong = [check for check in map(_package, asked) if not check.is_sound]
    yield from wrong
    if not wrong:
        yield Check("packages", f"all {len(asked)} as asked for: {', '.join(map(_with_version, asked))}")


def _package(one: Requirement) -> Check:
    try:
        version = importlib.metadata.version(one.name)
    except importlib.metadata.PackageNotFoundError:
        return Check(one.name, "not installed", False, advice=f"pip install '{one}'")
    is_sound = one.specifier.contains(version, prereleases=True)
    return Check(one.name, f"{version} (asked for: {one.specifier})", is_sound, advice=f"pip install '{one}'")


def _with_version(one: Requirement) -> str:
    return f"{one.name} {importlib.metadata.version(one.name)}"


def tensorflow_and_keras() -> Check:
    """Whether TensorFlow can be imported, with Keras 2."""
    try:
        import tensorflow as tf

        from tf_e2egrec.keras_version import require_keras_2

        require_keras_2()
    except Exception as error:
        return Check("TensorFlow", f"cannot be imported: {_first_line(error)}", False, advice=_REINSTALL)
    return Check("TensorFlow", f"{tf.__version__}, with Keras 2")


def gpu() -> Check:
    """GPUs that TensorFlow sees; nothing needs one."""
    try:
        import tensorflow as tf

        seen = [device.name.rpartition("/")[2] for device in tf.config.list_physical_devices("GPU")]
    except Exception as error:
        return Check(
            "GPU", f"not looked for: {_first_line(error)}", False, is_needed=False, advice=_REINSTALL
        )
    if seen:
        return Check("GPU", f"{len(seen)}: {', '.join(seen)}", is_needed=False)
    driver = shutil.which("nvidia-smi")
    if driver is None:
        advice = (
            "none is needed; for an NVIDIA card install its driver, then `pip install 'tensorflow[and-cuda]'`"
        )
    else:
        advice = (
            "the driver is there, TensorFlow's CUDA libraries are not: `pip install 'tensorflow[and-cuda]'`"
        )
    return Check("GPU", "none seen, the processor is used", False, is_needed=False, advice=advice)


def beam_runners() -> Iterator[Check]:
    """Where the pipelines can run from here."""
    has_beam = importlib.util.find_spec("apache_beam") is not None
    version = (
        f"Apache Beam {importlib.metadata.version('apache-beam')}, in this process"
        if has_beam
        else "no Apache Beam"
    )
    yield Check("Beam runner, local", version, has_beam, advice="" if has_beam else _REINSTALL)
    has_google = _has_module("apitools") and _has_module("google.cloud.storage")
    yield Check(
        "Beam runner, Dataflow",
        "apache-beam[gcp] is installed" if has_google else "apache-beam[gcp] is not installed",
        has_google,
        is_needed=False,
        advice="" if has_google else "pip install 'apache-beam[gcp]'; docs/runners.md",
    )
    java = shutil.which("java")
    yield Check(
        "Beam runner, Flink and Spark",
        f"Java at {java}" if java else "no Java to start a job server with",
        java is not None,
        is_needed=False,
        advice="" if java else "install a Java runtime, or name a running job server; docs/runners.md",
    )


def model_server() -> Check:
    """TensorFlow Serving's binary; the development server stands in for it."""
    advice = (
        "the development server is used instead; the binary is in the image tensorflow/serving, or the Debian package "
        "tensorflow-model-server; put it on PATH or name it in TENSORFLOW_MODEL_SERVER"
    )
    try:
        from serving.server_command import find_model_server

        found = find_model_server()
    except Exception as error:
        return Check("TensorFlow Serving", _first_line(error), False, is_needed=False, advice=advice)
    if found is None:
        return Check("TensorFlow Serving", "tensorflow_model_server is not on PATH", False, False, advice)
    return Check("TensorFlow Serving", found, is_needed=False)


def plots() -> Check:
    """matplotlib, for the plots of a few commands and the notebooks."""
    if _has_module("matplotlib"):
        return Check("plots", f"matplotlib {importlib.metadata.version('matplotlib')}", is_needed=False)
    return Check("plots", "no matplotlib", False, is_needed=False, advice="pip install matplotlib")


def disk(
    directory: Path, name: str, usage: Callable[[Path], shutil._ntuple_diskusage] = shutil.disk_usage
) -> Check:
    """Free space where files would be written, and whether they may be.

    Args:
      directory: an existing one.
      name: what the check is called.
      usage: says how full a disk is.
    """
    free, place = usage(directory).free, directory.resolve()
    if not os.access(directory, os.W_OK):
        return Check(
            name,
            f"{place} may not be written to",
            False,
            advice="choose another directory, or change its mode",
        )
    is_sound = free >= _WANTED_DISK
    advice = "" if is_sound else f"free some: {_WANTED_DISK // _GIB} GiB are enough for the built-in data"
    return Check(name, f"{free / _GIB:,.1f} GiB free at {place}", is_sound, is_needed=False, advice=advice)


def memory() -> Check:
    """Memory that is free."""
    free = free_memory()
    if free is None:
        return Check("memory", "the system does not say", is_needed=False)
    is_sound = free >= _WANTED_MEMORY
    advice = "" if is_sound else "lower `training.batch_size`, and train one model at a time (`--jobs 1`)"
    return Check("memory", f"{free / _GIB:,.1f} GiB free", is_sound, is_needed=False, advice=advice)


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__

"""How a module is saved for a server."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf


def save_servable(module: tf.Module, signatures: Mapping[str, Callable[..., Any]], directory: Path) -> None:
    """Write a SavedModel for servers, which run its signatures and nothing else: no gradients.

    Args:
      module: what the signatures need.
      signatures: concrete functions by name.
      directory: `.../<version>`; gets `assets.extra`, too, for what servers want beside the model.
    """
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with _without_notices():
        tf.saved_model.save(module, str(directory), signatures=dict(signatures), options=options)
    (directory / "assets.extra").mkdir(exist_ok=True)


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Leave out two remarks about objects that a server never restores: GraphTensor specs, and layers that no
    signature calls.
    """

    def is_no_remark(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Skipping full serialization of")

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_no_remark)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Encoding a StructuredValue with type")
            yield
    finally:
        logger.removeFilter(is_no_remark)

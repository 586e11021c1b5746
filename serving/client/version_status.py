"""The state of one version of a model, as GetModelStatus tells it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model on a server.

    Attributes:
      version: the integer name of the version's directory.
      state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END" (unloaded, or failed to load).
      error_code: canonical gRPC/TensorFlow code, 0 where nothing went wrong.
      error_message: why the version failed, "" where nothing went wrong.
    """

    version: int
    state: str
    error_code: int = 0
    error_message: str = ""

    @property
    def available(self) -> bool:
        """Whether requests to this version are answered."""
        return self.state == "AVAILABLE"

    @property
    def failed(self) -> bool:
        """Whether the version ended with an error: it will not become available without a change on disk."""
        return self.state == "END" and self.error_code != 0

"""Where a stage may write."""

from pathlib import Path

from tf_e2egrec.errors import E2EGRecError


def require_mounted(output: str | Path) -> None:
    """Refuse a URL as the place of an artefact.

    Inputs are read from any file system that Beam reaches. Outputs are renamed into place when they are complete, which object stores
    cannot do.

    Raises:
      E2EGRecError: `output` names a file system such as `gs://` or `s3://`.
    """
    text = str(output)
    scheme = text.split(":/", maxsplit=1)[0] if ":/" in text else ""
    if len(scheme) > 1:
        raise E2EGRecError(
            f"the output `{text}` is on `{scheme}://`, but artefacts need a directory that every worker mounts; "
            "write there and copy the finished artefact (see docs/runners.md)"
        )

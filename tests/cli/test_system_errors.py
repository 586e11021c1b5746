"""What the system refused is found in the errors of every library that writes."""

import errno
import os

import pytest

from tf_e2egrec.cli.system_errors import sentence_about

FULL = "no space is left for {}; free some, or choose another directory"
ERRORS = {
    "Python": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/a/graph"), FULL.format("/runs/a/graph")),
    "Python without a name": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), FULL.format("the output")),
    "TensorFlow": (
        RuntimeError("/runs/a/ckpt-5.data-00000-of-00001.tempstate17; No space left on device [Op:SaveV2]"),
        FULL.format("/runs/a/ckpt-5.data-00000-of-00001.tempstate17"),
    ),
    "HDF5": (
        OSError("Can't synchronously write data (file write failed: errno = 28, error message = 'No space left on device')"),
        FULL.format("the output"),
    ),
    "a worker of Beam": (
        RuntimeError(
            'Traceback\n  File "/venv/site-packages/apache_beam/x.py", line 3\nOSError: [Errno 28] No space left on device: '
            "'/runs/a/.graph.staging-1/edges/e.parquet' [while running 'SwingEdgeFiles']"
        ),
        FULL.format("/runs/a/.graph.staging-1/edges/e.parquet"),
    ),
    "a permission": (
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/runs"),
        "no permission for /runs; choose another directory or change its mode",
    ),
    "a read-only place": (
        RuntimeError("/mnt/a; Read-only file system"),
        "/mnt/a lies on a read-only file system; choose another directory",
    ),
    "a limit of the size": (
        OSError(errno.EFBIG, os.strerror(errno.EFBIG), "/a"),
        "/a would become larger than the system lets a file be; raise the limit (`ulimit -f`), or choose another directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("who", ERRORS)
def test_the_sentence_names_the_path_and_the_remedy(who):
    error, expected = ERRORS[who]
    assert sentence_about(error) == expected


MISTAKES = [
    ValueError("No such thing"),
    KeyError("x"),
    OSError(errno.EIO, os.strerror(errno.EIO), "/a"),
    FileNotFoundError(2, "No such file", "/a"),
]


@pytest.mark.parametrize("error", MISTAKES)
def test_mistakes_of_ours_keep_their_traceback(error):
    assert sentence_about(error) is None

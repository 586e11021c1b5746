"""What the operating system refuses, said in one sentence, whoever was refused: Python, TensorFlow, HDF5, Arrow or a Beam worker."""

import errno
import os
import re

_NO_PERMISSION = "no permission for {}; choose another directory or change its mode"
_IN_THE_WAY = "{} is, or lies under, a file where a directory is needed; choose another path"
_MENDED_BY_THE_USER = {
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EROFS: "{} lies on a read-only file system; choose another directory",
    errno.ENOSPC: "no space is left for {}; free some, or choose another directory",
    errno.EDQUOT: "the quota is used up by {}; free some space, or choose another directory",
    errno.EFBIG: "{} would become larger than the system lets a file be; raise the limit (`ulimit -f`), or choose another directory",
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
}
# Their texts say nothing else; the others are looked for by number alone.
_KNOWN_BY_TEXT = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EACCES)


def sentence_about(error: Exception) -> str | None:
    """What the user can do about an error of the operating system; None where it is none, or not the user's.

    Libraries in C++ and processes of Beam report such an error as text, without its number.
    """
    if isinstance(error, OSError) and error.errno in _MENDED_BY_THE_USER:
        return _MENDED_BY_THE_USER[error.errno].format(error.filename or _path_in(str(error)))
    text = str(error)
    for code in _KNOWN_BY_TEXT:
        if os.strerror(code) in text:
            return _MENDED_BY_THE_USER[code].format(_path_in(text, os.strerror(code)))
    return None


def _path_in(text: str, said: str = "") -> str:
    """The path that an error's text names, near what the system said."""
    after = re.search(rf"{re.escape(said)}: '(/[^']+)'", text) if said else None
    before = re.findall(r"(/[^\s:;,'\"]+)(?=[;:'\"])", text.partition(said)[0] if said else text)
    paths = [one for one in before if "site-packages" not in one and not one.endswith(".py")]
    return after[1] if after else (paths[-1] if paths else "the output")

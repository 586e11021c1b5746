import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset import recoded_stream
from tf_e2egrec.dataset.recoded_stream import FIELD_SEPARATOR, RecodedStream


@given(
    text=st.text(alphabet="a:é\n", max_size=60),
    chunk=st.integers(1, 7),
    encoding=st.sampled_from(["latin-1", "utf-16"]),
)
def test_chunks_never_cut_a_separator_or_a_character(text, chunk, encoding):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recoded_stream, "_CHUNK", chunk)
        stream = RecodedStream(io.BytesIO(text.encode(encoding)), encoding, "::")
        assert stream.read().decode() == text.replace("::", FIELD_SEPARATOR)


def test_one_character_separators_are_left_alone():
    stream = RecodedStream(io.BytesIO("a\x1fb;ü\n".encode("latin-1")), "latin-1", ";")
    assert stream.read().decode() == "a\x1fb;ü\n"


def test_closing_closes_the_bytes():
    inner = io.BytesIO(b"a")
    RecodedStream(inner, "utf-8", "::").close()
    assert inner.closed

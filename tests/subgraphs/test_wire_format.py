import google_crc32c
import numpy as np
import pytest

from tf_e2egrec.subgraphs.wire_format import crc32c, masked_crc32c, put_varint, varint_length


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 63, 1000])
def test_crc32c(length):
    data = np.random.default_rng(length).integers(0, 256, length + 5).astype(np.uint8)
    expected = google_crc32c.value(data[3 : 3 + length].tobytes())
    assert crc32c(data, 3, 3 + length) == expected
    assert (
        masked_crc32c(data, 3, 3 + length)
        == (((expected >> 15) | (expected << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    )


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**58 + 3, 2**63 - 1, -1, -(2**63)])
def test_varints(value):
    out = np.zeros(12, np.uint8)
    end = put_varint(out, 1, value)
    assert end - 1 == varint_length(value)
    decoded = sum((int(byte) & 127) << (7 * i) for i, byte in enumerate(out[1:end]))
    assert decoded == value % 2**64
    assert all(byte >= 128 for byte in out[1 : end - 1])
    assert out[end - 1] < 128

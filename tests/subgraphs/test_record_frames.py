"""Bounds of records against TensorFlow's own reader, and what is kept of them on disk."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.record_frames import RecordFrames

RECORDS = [b"", b"a", b"bc" * 1_000, bytes(range(256)) * 7]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "records.tfrecord"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in RECORDS:
            writer.write(record)
    return file


def contents(frames):
    return [
        frames.data[start + 12 : end - 4].tobytes()
        for start, end in zip(frames.bounds[:-1], frames.bounds[1:], strict=True)
    ]


def test_the_bounds_are_those_of_the_records(path):
    frames = RecordFrames(path)
    assert len(frames) == len(RECORDS)
    assert contents(frames) == RECORDS == list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert list(path.parent.iterdir()) == [path]  # small files are looked through again


def test_a_file_without_records(tmp_path):
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    assert len(RecordFrames(tmp_path / "empty.tfrecord")) == 0


def test_the_bounds_of_large_files_are_kept_until_the_file_changes(path):
    first = RecordFrames(path, worth_keeping=1)
    (kept,) = [one for one in path.parent.iterdir() if one != path]
    np.testing.assert_array_equal(np.load(kept), first.bounds)
    again = RecordFrames(path, worth_keeping=1)
    assert not again.bounds.flags.writeable  # from the file
    np.testing.assert_array_equal(again.bounds, first.bounds)

    content = path.read_bytes()
    path.write_bytes(content + content[first.bounds[1] : first.bounds[2]])
    os.utime(kept)  # newer than the records, but of another size
    assert contents(RecordFrames(path, worth_keeping=1)) == [*RECORDS, b"a"]
    path.write_bytes(content[first.bounds[1] : first.bounds[2]] + content)
    os.utime(kept, ns=(0, 0))  # of the same size, but older
    assert contents(RecordFrames(path, worth_keeping=1)) == [b"a", *RECORDS]
    beyond_the_end = np.load(kept)
    beyond_the_end[2] = 1 << 40
    for damaged in (b"damaged", beyond_the_end):
        np.save(kept, damaged) if isinstance(damaged, np.ndarray) else kept.write_bytes(damaged)
        assert contents(RecordFrames(path, worth_keeping=1)) == [b"a", *RECORDS]


@pytest.mark.parametrize("cut", [1, 3, 500])
def test_a_file_that_was_cut_off_is_refused(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(E2EGRecError, match=r"records\.tfrecord is damaged \(record 3 cannot be read\)"):
        RecordFrames(path)


def test_a_length_that_was_changed_is_refused(path):
    content = bytearray(path.read_bytes())
    content[16] ^= 1  # of the second record
    path.write_bytes(content)
    with pytest.raises(E2EGRecError, match="record 1 cannot be read"):
        RecordFrames(path)

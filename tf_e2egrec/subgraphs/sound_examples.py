"""`sound_examples`: serialized records from outside, before TensorFlow's parser reads them.

`tf.io.parse_example` makes room for as many numbers as a packed list of floats says it has before it looks whether the
record has them: a flipped bit in the length costs gigabytes, and from 2 ** 31 bytes on the process dies. The general
protobuf parser refuses such records, but is far slower: it reads only those in which a list of 2 MiB or more could stand.
Files of records need none of this: their frames have checksums.
"""

import tensorflow as tf

_LIST_TAG, _CONTINUED = 0x0A, 0x80
_LENGTH_BYTES = 4  # of a varint; a list of fewer is under 2 MiB


def sound_examples(examples: tf.Tensor) -> tf.Tensor:
    """Return the records as they are, if the general parser reads those that look as if they had a very long list.

    Args:
      examples: string [B], serialized `tf.train.Example` messages.

    Raises:
      tf.errors.DataLossError: a record ends before a list that it announces.
    """
    suspects = tf.gather(examples, _suspects(examples))
    read = tf.raw_ops.DecodeProtoV2(
        bytes=tf.concat([suspects, [""]], axis=0),  # it wants at least one
        message_type="tensorflow.Example",
        field_names=["features"],
        output_types=[tf.string],
        sanitize=True,
    )
    # An assertion, as the graph's optimizer drops an operation whose result nobody reads.
    with tf.control_dependencies([tf.debugging.assert_non_negative(read.sizes)]):
        return tf.identity(examples)


def _suspects(examples: tf.Tensor) -> tf.Tensor:
    """The rows, ascending, in which the tag of a list stands before a length of four bytes or more; int64 [n]."""
    joined = tf.io.decode_raw(tf.strings.reduce_join(examples), tf.uint8)
    last = tf.maximum(tf.size(joined) - _LENGTH_BYTES + 1, 0)
    found = tf.equal(joined[:last], _LIST_TAG)
    for place in range(1, _LENGTH_BYTES):
        found &= joined[place : last + place] >= _CONTINUED
    ends = tf.cumsum(tf.strings.length(examples, unit="BYTE"))
    rows = tf.searchsorted(ends, tf.cast(tf.where(found)[:, 0], tf.int32), side="right", out_type=tf.int64)
    return tf.unique(rows).y

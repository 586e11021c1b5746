"""`PlacedImpressions`: what is read of an impression's record where its neighbours come from elsewhere."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.subgraphs.graph_schema import LABELS, READOUT, build_graph_schema

_ITEMS, _USER = "nodes/item.#id", "nodes/user.#id"
_RECENT, _AGE = "edges/recent.#source", "edges/recent.age"


class PlacedImpressions(NamedTuple):
    """Parsed impressions, one after the other; `MergedRecords` says the same of parsed GraphTensors, which cost more to
    parse.

    Attributes:
      place_key: int64 [P] item keys; of each impression the candidate, then its recent items, newest first.
      places: int32 [B] how many of each impression.
      first_place: int32 [B] the candidates' places.
      recent_place: int32 [R] the places of the recent items.
      recent_target: int32 [R] whose recent items they are, sorted.
      recent_age: float32 [R].
      user: int64 [B] user keys.
      readout: features of `_readout`, without labels.
      labels: `reward` and `stay`, float32 [B].
    """

    place_key: tf.Tensor
    places: tf.Tensor
    first_place: tf.Tensor
    recent_place: tf.Tensor
    recent_target: tf.Tensor
    recent_age: tf.Tensor
    user: tf.Tensor
    readout: dict[str, tf.Tensor]
    labels: dict[str, tf.Tensor]


def impression_parser(description: DatasetDescription) -> Callable[[tf.Tensor], PlacedImpressions]:
    """A function of serialised records, string [B], that reads of them what does not follow from the rest.

    A GraphTensor's parser looks at every feature of the schema, almost half of which are sizes and indices that are the same in
    all records or known from others.
    """
    prefix = f"nodes/{READOUT}."
    fields = build_graph_schema(description).node_sets[READOUT].features
    columns = {
        prefix + name: tf.io.FixedLenFeature([], tf.as_dtype(field.dtype)) for name, field in fields.items()
    }
    spec = columns | {
        _USER: tf.io.FixedLenFeature([], tf.int64),
        _ITEMS: tf.io.RaggedFeature(tf.int64),
        _RECENT: tf.io.RaggedFeature(tf.int64),
        _AGE: tf.io.RaggedFeature(tf.float32),
    }

    def parse(serialized: tf.Tensor) -> PlacedImpressions:
        parsed = tf.io.parse_example(serialized, spec)
        items, recent = parsed[_ITEMS], parsed[_RECENT]
        number = tf.cast(recent.row_lengths(), tf.int32)
        places = 1 + number
        first = tf.cumsum(places, exclusive=True)
        start = tf.cast(items.row_starts(), tf.int32)  # neighbours may follow in the record
        target = tf.repeat(tf.range(tf.size(places)), number)
        readout = {name.removeprefix(prefix): parsed[name] for name in columns}
        labels = {name: readout.pop(name) for name in LABELS}
        return PlacedImpressions(
            place_key=tf.gather(items.flat_values, tf.ragged.range(start, start + places).flat_values),
            places=places,
            first_place=first,
            recent_place=tf.cast(recent.flat_values, tf.int32) + tf.gather(first, target),
            recent_target=target,
            recent_age=parsed[_AGE].flat_values,
            user=parsed[_USER],
            readout=readout,
            labels=labels,
        )

    return parse

"""Wrong bytes in subgraphs that a caller sends: refused by an error of TensorFlow's, or a batch graph; never a crash."""

import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.faults.share import share_of
from tests.faults.tally import BAD_INPUTS, Tally
from tests.toy_data import serialize, toy_description, toy_records, toy_tables
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.graph_schema import record_spec
from tf_e2egrec.subgraphs.sound_examples import sound_examples

SAMPLE, WHOLE = 400, 100_000
REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.OutOfRangeError,
    tf.errors.ResourceExhaustedError,
    UnicodeDecodeError,  # TensorFlow quotes the bytes of a feature's name in its error
)
FOUND = [(0, 4), (1, 4)]  # (number, records in the call) of cases that once failed


@pytest.fixture(scope="module")
def parse():
    description = toy_description()
    tables, spec = toy_tables(description), record_spec(description)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def parsed(serialized):
        graph, labels = compact(tfgnn.parse_example(spec, sound_examples(serialized)), *tables)
        sums = [tf.reduce_sum(tf.cast(value, tf.float64)) for value in labels.values()]
        return tf.stack(sums), graph.node_sets["item"]["#id"]

    return parsed


def odd_records(number: int, whole: list[bytes], count: int) -> list[bytes]:
    """Some records, at least one of them with flipped, missing, doubled or foreign bytes."""
    chance = random.Random(number)
    records = [bytearray(chance.choice(whole)) for _ in range(count)]
    for record in records[: chance.randint(1, count)]:
        for _ in range(chance.randint(1, 4)):
            if not record:
                break
            place, what = chance.randrange(len(record)), chance.randrange(6)
            if what <= 1:
                record[place] ^= 1 << chance.randrange(8)
            elif what == 2:
                del record[place:]
            elif what == 3:
                del record[place : place + chance.randint(1, 9)]
            elif what == 4:
                record[place:place] = record[: chance.randint(1, 40)]
            else:
                record[place : place + 1] = chance.randbytes(chance.randint(1, 9))
    return [bytes(record) for record in records]


def check(parse, number: int, whole: list[bytes], count: int = 1) -> bool:
    """Whether the records were refused; a single one, so that no other of its call hides it."""
    try:
        sums, items = parse(tf.constant(odd_records(number, whole, count)))
    except REFUSALS:
        return True
    assert sums.shape[0] > 0 and len(np.unique(items)) == len(items), f"case {number}"
    return False


def run(parse, cases, tally: Tally) -> float:
    """The share that was refused."""
    whole = [record.numpy() for record in serialize(toy_records(8))]
    refused = []
    for number, count in cases:
        refused.append(check(parse, number, whole, count))
        tally.count(BAD_INPUTS)
    return float(np.mean(refused))


def test_records(parse, tally: Tally) -> None:
    share = run(parse, [*FOUND, *((number, 1) for number in range(SAMPLE))], tally)
    assert 0.2 < share < 1.0


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_many_records(parse, tally: Tally) -> None:
    run(parse, ((number, 1) for number in range(share_of(WHOLE))), tally)

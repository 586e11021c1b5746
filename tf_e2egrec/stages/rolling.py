"""Test, then train: a model that meets each period before it learns from it."""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.time_axis import FOREVER, parse_duration
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.pretrain import graph_learning_step
from tf_e2egrec.stages.train import balancing_callbacks
from tf_e2egrec.subgraphs.graph_schema import READOUT

Labels = Mapping[str, tf.Tensor]
Batch = tuple[tfgnn.GraphTensor, Labels]
Step = Callable[[tfgnn.GraphTensor, Labels], object]


def update_period(description: DatasetDescription) -> int:
    """`evaluation.update_every` in `EventBlock.time` units; by default a day, or a whole split where time is a rank."""
    every = description.evaluation.update_every
    if every is None:
        every = "all" if description.time_is_rank else "1d"
    return parse_duration(every, "evaluation.update_every", description.time_is_rank)


def learning_steps(network: E2EGRec, description: DatasetDescription, spec: Sequence[object]) -> list[Step]:
    """What a period's batches go through once they have been predicted, one after the other.

    A cascade by BPR first brings its graph neural network up to date, so that it is never held back by old embeddings. By GFAE it
    stays as it was pretrained: more of that loss only takes more from X.

    Args:
      network: a trained, compiled model.
      description: how to train.
      spec: the specs of a batch's graph and labels.
    """
    steps: list[Step] = []
    if network.variant.pretraining == "bpr":
        steps.append(graph_learning_step(network, description, spec))
    for callback in balancing_callbacks(description, network.variant):
        callback.set_model(network)
        callback.on_train_begin()
    learn = tf.function(lambda graph, labels: network.train_step((graph, labels)), input_signature=list(spec))
    return [*steps, learn]


def test_then_train(data: tf.data.Dataset, steps: Sequence[Step], period: int) -> Iterator[Batch]:
    """Give each batch to be predicted; train on a period's batches when the next period begins, and at the end.

    A batch across two periods counts as the earlier one when it is predicted and as the later one when it is learnt: what
    predicts a row may be a little older than it might be, and has never learnt from a row of the same period.

    Args:
      data: batches in order of time; read once more for each step.
      steps: of `learning_steps`.
      period: in the units of the impressions' time.
    """
    behind = [iter(data) for _ in steps]
    waiting: collections.deque[int] = collections.deque()  # periods in which batches end

    def learn_before(number: int) -> None:
        count = len(waiting)
        while waiting and waiting[0] < number:
            waiting.popleft()
        for step, batches in zip(steps, behind, strict=True):
            for _ in range(count - len(waiting)):
                step(*next(batches))

    for graph, labels in data:
        time = graph.node_sets[READOUT]["time"]
        learn_before(int(time[0]) // period)
        yield graph, labels
        waiting.append(int(time[-1]) // period)
    learn_before(FOREVER)

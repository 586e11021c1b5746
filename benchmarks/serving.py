"""What a ranking request costs, by kind of export, against the cascade.

    python -m benchmarks.serving [--far-ids] [--quick] [--json]

Untrained models (vectors of 64, two item features, two context features) over 50,000 items with 100 neighbours each, requests with 20
recent items, and candidates by a power law. `cascade` is R2: its graph was frozen before, and Z is looked up. `hybrid` is R5 with Z
looked up, `hybrid, 5 % fresh` the same with features and 100 neighbours of one candidate in twenty in the request, `table` R5 with the
neighbours of k = 100 or 20 inside; two rows more say what 2 hops and the whole graph in each request would cost. Each is called in this
process (a TensorFlow session, requests and answers as messages) and through a server (TensorFlow Serving where it is installed, else the
development server), by 1 and by 8 clients at a time. Ids follow one another unless `--far-ids` is given (see `ItemRows`).

The exports take turns of eight requests, each turn in an order of its own, so that what else the machine does and what the one before
left in the caches hits all of them alike. In this process they are loaded four times, for it matters where their tables come to lie in
memory. The ratios are of the p50 of one client in this process, 500 candidates, of which there are four times as many turns.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report

TARGETS = {
    "hybrid_vs_cascade_500": Target("<=", 1.05),
    "hybrid_fresh_vs_cascade_500": Target("<=", 1.15),
    "table_vs_cascade_500": Target("<=", 1.8),
    "table_20_vs_cascade_500": Target("<=", 1.2),
}
ROWS = {
    "hybrid_vs_cascade_500": "hybrid",
    "hybrid_fresh_vs_cascade_500": "hybrid, 5 % fresh",
    "table_vs_cascade_500": "table, k = 100",
    "table_20_vs_cascade_500": "table, k = 20",
}
DESCRIPTION = """
name: benchmark
interactions:
  paths: logs.parquet
  user: user
  item: item
  time: {column: time, unit: ms}
  behaviours: {click: {column: click}}
  stay: {column: stay, maximum: 600}
  context: [{name: position, type: numeric}, {name: device, type: categorical, hash_buckets: 10}]
items:
  paths: items.parquet
  id: item
  features: [{name: genre, type: categorical, hash_buckets: 100}, {name: length, type: numeric, transform: log1p}]
ranker: {reward: click, derived: [hour_of_day, item_age, recent_count]}
graph: {positive: [click], explicit: [click], sampling: {fanout: FANOUT, recent_fanout: 10}}
split: {by: time, train_until: 2024-01-03, valid_until: 2024-01-04}
"""
NOW = 1_704_200_000_000  # January 2024
RECENT, NEIGHBOURS, VARIANTS, FRESH_SHARE = 20, 100, 8, 0.05
LENGTHS, CLIENTS = (100, 500, 2000), (1, 8)
LOADS, JUDGED, TIMES_JUDGED = 4, 500, 4


class Row(NamedTuple):
    """One way to answer.

    Attributes:
      name: in the table.
      export: which export answers.
      signature: which of its signatures.
    """

    name: str
    export: str
    signature: str = "rank"


ANSWERERS = (
    Row("cascade", "cascade"),
    Row("hybrid", "hybrid"),
    Row("hybrid, 5 % fresh", "hybrid", "rank_fresh"),
    Row("table, k = 100", "table-100"),
    Row("table, k = 20", "table-20"),
)
# Known to be slow: one client in this process, 500 candidates, few turns.
DEEP = (Row("2 hops, k = 20", "two-hops-20"), Row("whole graph, k = 20", "whole-graph-20"))
DEEP_CANDIDATES, DEEP_TURNS = 500, 2
FAR = 2**40
Answers = dict[str, Callable[[Any], Any]]
Taken = dict[tuple[str, int, int], list[float]]


def make_exports(folder: Path, items: int, gap: int = 1) -> None:
    """FOLDER/<export>/1, each a SavedModel; the items' ids are `gap` apart."""
    import numpy as np

    from benchmarks.deep_rankers import TwoHopRanker, WholeGraphRanker
    from tf_e2egrec.dataset.node_table import NodeTable
    from tf_e2egrec.graph.neighbour_table import NeighbourTable

    random = np.random.default_rng(0)
    keys = np.arange(items) * gap
    features = {
        "genre": random.integers(0, 100, items),
        "length": random.exponential(60, items).astype("f4"),
    }
    seen = np.full(items, NOW - 86_400_000)
    nodes = NodeTable(key=keys, id=keys.astype(str), features=features, first_seen=seen)
    user_keys = np.arange(min(items, 1000))
    users = NodeTable(key=user_keys, id=user_keys.astype(str))
    per_item = min(NEIGHBOURS, items - 1)
    offset = (
        1 + (np.arange(items * per_item) * 37 + np.repeat(random.integers(0, items, items), per_item)) % items
    )
    source = keys[(np.repeat(np.arange(items), per_item) + offset) % items]
    weight = random.random(len(source)).astype("f4") + 0.01
    table = NeighbourTable.from_edges(source, np.repeat(keys, per_item), weight)
    _save(folder / "cascade" / "1", "R2", "hybrid", 100, nodes, users, table)
    _save(folder / "hybrid" / "1", "R5", "hybrid", 100, nodes, users, table)
    _save(folder / "table-100" / "1", "R5", "table", 100, nodes, users, table)
    _save(folder / "table-20" / "1", "R5", "table", 20, nodes, users, table)
    _save(folder / "two-hops-20" / "1", "R5", "table", 20, nodes, users, table, TwoHopRanker)
    _save(folder / "whole-graph-20" / "1", "R5", "table", 20, nodes, users, table, WholeGraphRanker)


def _save(
    path: Path,
    variant: str,
    kind: Any,
    fanout: int,
    nodes: Any,
    users: Any,
    neighbours: Any,
    ranker: Any = None,
) -> None:
    import tensorflow as tf

    from tf_e2egrec.dataset.description import parse_description
    from tf_e2egrec.export.ranking_module import RankingModule
    from tf_e2egrec.export.servable import save_servable
    from tf_e2egrec.export.serving_graph import ServingGraph
    from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named

    tf.keras.utils.set_random_seed(0)
    description = parse_description(DESCRIPTION.replace("FANOUT", str(fanout)), "benchmark.yaml")
    sizes: dict[str, dict[str, int]] = {"item": {}, "user": {}, "context": {"hour_of_day": 24}}
    inputs = ModelInputs.from_description(description, len(nodes.key), len(users.key), sizes)
    model = E2EGRec(inputs, description.model, variant_named(variant))
    for encoder, group in model.entity_encoders:
        encoder.id_lookup.set_keys((nodes if group == "item" else users).key)
    graph = ServingGraph(description, nodes, users, neighbours)
    module = RankingModule(model, graph, description, frozenset(), kind)
    if ranker is not None:
        module.ranker = ranker(model, graph)
    save_servable(module, module.signatures(), path)


def make_requests(model: str, signature: str, candidates: int, items: int, gap: int = 1) -> list[Any]:
    """PredictRequests of one user each, the same for every export."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    share = (1.0 + np.arange(items)) ** -0.8
    made = []
    for variant in range(VARIANTS):
        random = np.random.default_rng(variant)
        ids = gap * random.choice(items, (1, candidates), p=share / share.sum())
        inputs = {
            "user_id": random.integers(0, 1000, 1),
            "time": np.array([NOW]),
            "candidates": ids,
            "num_candidates": np.array([candidates], np.int32),
            "recent": gap * random.choice(items, (1, RECENT), p=share / share.sum()),
            "num_recent": np.array([RECENT], np.int32),
            "position": np.array([0.5], np.float32),
            "device": np.array([1]),
        }
        if signature == "rank_fresh":
            count = int(candidates * FRESH_SHARE)
            inputs |= {
                "fresh": ids[:, :count],
                "num_fresh": np.array([count], np.int32),
                "fresh_neighbours": gap * random.integers(0, items, (1, count, NEIGHBOURS)),
                "fresh_weights": random.random((1, count, NEIGHBOURS)).astype("f4") + 0.01,
                "num_fresh_neighbours": np.full((1, count), NEIGHBOURS, np.int32),
                "fresh_feature_genre": random.integers(0, 100, (1, count)),
                "fresh_feature_length": random.exponential(60, (1, count)).astype("f4"),
            }
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        made.append(request)
    return made


def measure(
    actions: Mapping[str, Callable[[Any], Any]], requests: Mapping[str, list[Any]], clients: int, turns: int
) -> dict[str, list[float]]:
    """Milliseconds of every call; in each turn every client calls every action with each request, one action after the other in a
    drawn order, the clients at a time.
    """
    found: dict[str, list[float]] = {name: [] for name in actions}
    order, draw = list(actions), random.Random(0)

    def call(name: str, variant: int) -> float:
        started = time.perf_counter()
        actions[name](requests[name][variant % VARIANTS])
        return 1e3 * (time.perf_counter() - started)

    with ThreadPoolExecutor(clients) as pool:
        for turn in range(-1, turns):  # one turn that warms up
            draw.shuffle(order)
            for name in order:
                for first in range(VARIANTS):
                    taken = list(pool.map(call, [name] * clients, range(first, first + clients)))
                    found[name] += taken if turn >= 0 else []
    return found


@contextmanager
def in_process(folder: Path) -> Iterator[Answers]:
    """Export -> what answers a request in this process."""
    from serving.development_server.loaded_version import LoadedVersion

    names = sorted({row.export for row in (*ANSWERERS, *DEEP)})
    loaded = {name: LoadedVersion(folder / name / "1", 1) for name in names}
    yield {name: version.predict for name, version in loaded.items()}
    for version in loaded.values():
        version.retire()


def through_servers(folder: Path, stack: ExitStack) -> tuple[str, Answers]:
    """What the servers are, and export -> what asks one."""
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    from serving.server_command import start_server

    found, kind = {}, ""
    for name in sorted({row.export for row in ANSWERERS}):
        with redirect_stdout(sys.stderr):  # the server introduces itself
            server = stack.enter_context(start_server(folder / name, name, port=0))
        channel = stack.enter_context(grpc.insecure_channel(server.target))
        found[name] = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        kind = server.kind
    return kind, found


def rows_of(
    answers: Answers,
    items: int,
    lengths: tuple[int, ...],
    turns: int,
    answerers: tuple[Row, ...] = ANSWERERS,
    numbers: tuple[int, ...] = CLIENTS,
    gap: int = 1,
) -> Taken:
    """Milliseconds of every call per answerer, length and number of clients."""
    found: Taken = {}
    for length in lengths:
        requests = {
            row.name: make_requests(row.export, row.signature, length, items, gap) for row in answerers
        }
        actions = {row.name: answers[row.export] for row in answerers}
        for clients in numbers:
            many = turns if clients == 1 else -(-turns // 2)
            many *= TIMES_JUDGED if (length, clients) == (JUDGED, 1) else 1
            for name, taken in measure(actions, requests, clients, many).items():
                found[name, length, clients] = taken
    return found


def figures_of(through: str, rounds: list[Taken]) -> list[dict[str, Any]]:
    """One figure per answerer, length and number of clients, of the calls of all rounds."""
    figures = []
    for name, length, clients in rounds[0]:
        taken = sorted(ms for one in rounds for ms in one[name, length, clients])
        figures.append(
            {
                "export": name,
                "through": through,
                "candidates": length,
                "clients": clients,
                "p50 ms": statistics.median(taken),
                "p99 ms": taken[min(len(taken) - 1, int(0.99 * len(taken)))],
                "calls": len(taken),
            }
        )
    return figures


def ratios_of(figures: list[dict[str, Any]], candidates: int) -> dict[str, float]:
    """The judged ratios, of one client in this process."""
    chosen = {
        row["export"]: row["p50 ms"]
        for row in figures
        if (row["through"], row["candidates"], row["clients"]) == ("this process", candidates, 1)
    }
    return {ratio: chosen[name] / chosen["cascade"] for ratio, name in ROWS.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when a target is missed."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--far-ids", action="store_true", help="ids far apart, as those of text are")
    arguments = parser.parse_args(argv)
    pin_threads()
    gap = FAR if arguments.far_ids else 1
    items, lengths, turns, loads = (2_000, (500,), 2, 1) if arguments.quick else (50_000, LENGTHS, 8, LOADS)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        folder = Path(directory)
        make_exports(folder, items, gap)
        rounds = []
        for _ in range(loads):
            with in_process(folder) as here:
                rounds.append(rows_of(here, items, lengths, turns, gap=gap))
                rounds[-1] |= rows_of(here, items, (DEEP_CANDIDATES,), DEEP_TURNS, DEEP, (1,), gap)
        figures += figures_of("this process", rounds)
        kind, servers = through_servers(folder, stack)
        figures += figures_of(kind, [rows_of(servers, items, lengths, turns, gap=gap)])
    return report(
        "serving",
        ratios_of(figures, JUDGED),
        {} if arguments.quick else TARGETS,
        figures=figures,
        only_json=arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())

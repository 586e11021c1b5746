"""A server under bad requests: does it live, keep its memory, and answer the good requests in between?

    python -m benchmarks.serving_fuzz [--requests 100000] [--seed 0] [--clients 4] [--batching FILE] [--export DIR] [--quick] [--json]

The server (TensorFlow Serving where it is installed, else the development server) is a process of its own on loopback. Clients send
what `benchmarks/odd_requests.py` makes of the warm-up requests of an export, over gRPC and, one time in fifty, over REST; every fifth
request is a good one, whose answer must be the one that the server gave when it was alone: to the bit, or to 1e-5 under batching, where
the size of a batch decides the order of sums. Without batching no good request may fail; with it, a bad request fails the good ones of
its batch, which are counted and must be answered when they are sent again.

Without --export, an untrained hybrid export of 1,000 items is fuzzed. The memory is the resident set of the server; its slope is that of
a straight line through the second half of the run.
"""

import contextlib
import http.client
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.odd_requests import REST_CODES, UNREADABLE, odd_body, odd_request, predict_request
from benchmarks.reporting import Target, benchmark_parser, report

TARGETS = {
    "good_wrong": Target("<=", 0),
    "good_failed": Target("<=", 0),
    "odd_surprises": Target("<=", 0),
    "crashes": Target("<=", 0),
    "unsent": Target("<=", 0),
    "mb_per_10000_requests": Target("<=", 5.0),
}
MODEL = "fuzzed"
GOOD_EVERY, REST_EVERY = 5, 50
SAMPLES = 200
PREDICT = "/tensorflow.serving.PredictionService/Predict"
TRIES = 20
SHOWN_SURPRISES = 5
_ANSWERS = re.compile(r" answers at (\S+) \(REST: (\S+)\);")


class Good(NamedTuple):
    """A request whose answer is known.

    Attributes:
      signature: which it calls.
      inputs: array by input name.
      message: the `PredictRequest`, serialized.
      answer: array by output name.
    """

    signature: str
    inputs: dict[str, Any]
    message: bytes
    answer: dict[str, Any]


class ServerProcess:
    """`e2egrec serve` in a process of its own.

    Attributes:
      target: gRPC address.
      rest_target: REST address.
    """

    def __init__(self, export: Path, batching: Path | None = None, kind: str = "auto") -> None:
        """Start it and wait until it answers.

        Args:
          export: directory with one directory per version.
          batching: file of batching parameters.
          kind: as `e2egrec serve --kind`.
        """
        import psutil

        argv = [
            sys.executable,
            "-m",
            "tf_e2egrec.cli.main",
            "serve",
            str(export),
            "--name",
            MODEL,
            "--kind",
            kind,
        ]
        argv += ["--port", "0", "--rest-port", "0", *(["--batching", str(batching)] if batching else [])]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self._log, text=True)
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        found = next((one for line in lines if (one := _ANSWERS.search(line))), None)
        if found is None:
            self._log.seek(0)
            log = self._log.read().decode(errors="replace")[-2000:]
            self.stop()
            raise RuntimeError(f"the server did not start: {log}")
        self.target, self.rest_target = found.groups()
        self._processes = [psutil.Process(self._process.pid)]
        self._processes += self._processes[0].children(recursive=True)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def resident_bytes(self) -> int:
        """Memory of the process and of those it started."""
        return sum(process.memory_info().rss for process in self._processes)

    def stop(self) -> None:
        """Ask it to end, and make sure."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


class Fuzz:
    """One run against one server."""

    def __init__(self, server: ServerProcess, export: Path, seed: int, batched: bool) -> None:
        """Ask for the answers to the good requests, while nothing else is asked.

        Args:
          server: the server.
          export: what it serves; the warm-up records of the newest version are the good requests.
          seed: of the requests.
          batched: whether the server joins requests.
        """
        import grpc

        self.counts: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.memory: list[tuple[int, int]] = []
        self._server, self._seed, self._batched = server, seed, batched
        self._lock = threading.Lock()
        self._wanted = 0
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(server.target, options)
        self._call = self._channel.unary_unary(PREDICT)  # bytes in, bytes out
        self._good = [self._answered(*one) for one in good_requests(export)]

    def run(self, requests: int, clients: int) -> None:
        """Send requests from several threads, and look at the memory in between."""
        self._wanted = requests
        threads = [
            threading.Thread(target=self._client, args=(range(start, requests, clients),))
            for start in range(clients)
        ]
        for thread in threads:
            thread.start()
        every = max(1, requests // SAMPLES)
        while any(thread.is_alive() for thread in threads) and self._server.is_alive():
            sent = self.counts["sent"]
            if not self.memory or sent >= self.memory[-1][0] + every:
                self.memory.append((sent, self._server.resident_bytes()))
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        if self._server.is_alive():
            self.memory.append((self.counts["sent"], self._server.resident_bytes()))
        self._channel.close()

    def ratios(self) -> dict[str, float]:
        """What is judged."""
        import numpy as np

        ratios = {name: float(self.counts[name]) for name in ("good_wrong", "good_failed", "odd_surprises")}
        ratios["crashes"] = float(not self._server.is_alive())
        ratios["unsent"] = float(self._wanted - self.counts["sent"])
        half = [point for point in self.memory if 2 * point[0] >= self.counts["sent"]]
        if len(half) > 2:
            sent, resident = np.array(half, float).T
            ratios["mb_per_10000_requests"] = float(np.polyfit(sent, resident, 1)[0]) * 10_000 / 2**20
        return ratios

    def _answered(self, signature: str, inputs: dict[str, Any]) -> Good:
        message = predict_request(MODEL, signature, inputs).SerializeToString()
        return Good(signature, inputs, message, arrays_of(self._call(message, timeout=60)))

    def _client(self, numbers: Sequence[int]) -> None:
        """One client's share of the requests, each of which is a function of the seed and its number."""
        import numpy as np

        connection = http.client.HTTPConnection(self._server.rest_target, timeout=60)
        for number in numbers:
            if not self._server.is_alive():
                return
            random = np.random.default_rng([self._seed, number])
            good = self._good[random.integers(len(self._good))]
            if number % GOOD_EVERY == 0:
                self._ask_good(good)
            elif number % REST_EVERY == 1:
                self._ask_rest(connection, good, random)
            else:
                self._ask_odd(good, random)
            self._count("sent")
        connection.close()

    def _ask_good(self, good: Good) -> None:
        import grpc

        failure = ""
        for _ in range(TRIES if self._batched else 1):
            try:
                answer = arrays_of(self._call(good.message, timeout=60))
            except grpc.RpcError as error:
                failure = f"good {good.signature}: {error.code().name} {(error.details() or '')[:300]}"
                if self._batched:
                    self._count("good ones in a bad batch")
                continue
            self._count("good")
            if not same(answer, good.answer, exactly=not self._batched):
                self._count("good_wrong", f"good {good.signature}: another answer")
            return
        self._count("good_failed", failure)

    def _ask_odd(self, good: Good, random: Any) -> None:
        import grpc

        odd = odd_request(random, MODEL, good.signature, good.inputs)
        try:
            answer = arrays_of(self._call(odd.message, timeout=60))
            code, details = "OK", "" if finite(answer) else "not finite"
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        self._count(f"{odd.kind}: {code}")
        if code not in odd.codes | (UNREADABLE if self._batched else set()) or details == "not finite":
            self._count("odd_surprises", f"{odd.kind} to {good.signature}: {code} {details[:300]}")

    def _ask_rest(self, connection: http.client.HTTPConnection, good: Good, random: Any) -> None:
        try:
            connection.request(
                "POST", f"/v1/models/{MODEL}:predict", odd_body(random, good.signature, good.inputs)
            )
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, text = 0, repr(error).encode()
        self._count(f"REST: {status}")
        if status not in REST_CODES:
            self._count("odd_surprises", f"REST: {status} {text[:300]!r}")

    def _count(self, name: str, surprise: str = "") -> None:
        with self._lock:
            self.counts[name] += 1
            if surprise and len(self.surprises) < SHOWN_SURPRISES:
                self.surprises.append(surprise)


def good_requests(export: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The warm-up requests of the newest version, and one user's row of each."""
    from serving.development_server.version_manager import find_versions
    from serving.warmup import read_warmup

    versions = find_versions(export)
    for signature, inputs in read_warmup(versions[max(versions)]):
        yield signature, dict(inputs)
        if len(next(iter(inputs.values()))) > 1:
            yield signature, {name: value[:1] for name, value in inputs.items()}


def arrays_of(message: bytes) -> dict[str, Any]:
    """The outputs of a serialized `PredictResponse`."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    outputs = predict_pb2.PredictResponse.FromString(message).outputs
    return {name: np.asarray(tf.make_ndarray(proto)) for name, proto in outputs.items()}


def same(answer: dict[str, Any], expected: dict[str, Any], exactly: bool) -> bool:
    """Whether two answers are one; under batching, lists may come padded."""
    import numpy as np

    if set(answer) != set(expected):
        return False
    for name, wanted in expected.items():
        value = answer[name]
        if exactly and not np.array_equal(value, wanted):
            return False
        if value.ndim != wanted.ndim or any(a < b for a, b in zip(value.shape, wanted.shape, strict=True)):
            return False
        cut = value[tuple(slice(length) for length in wanted.shape)]
        if not np.allclose(cut, wanted, rtol=1e-5, atol=1e-6):
            return False
    return True


def finite(answer: dict[str, Any]) -> bool:
    """Whether all numbers are some."""
    import numpy as np

    return all(np.isfinite(value).all() for value in answer.values())


def fuzz(
    export: Path,
    requests: int,
    seed: int = 0,
    clients: int = 4,
    batching: Path | None = None,
    kind: str = "auto",
) -> tuple[Fuzz, dict[str, float]]:
    """Start a server, fuzz it, stop it.

    Args:
      export: directory with one directory per version, the newest with warm-up records.
      requests: how many, of which every fifth is good.
      seed: of the requests.
      clients: that send at a time.
      batching: file of batching parameters, None for a server that joins nothing.
      kind: as `e2egrec serve --kind`.

    Returns:
      the run, and what is judged.
    """
    server = ServerProcess(export, batching, kind)
    try:
        run = Fuzz(server, export, seed, batching is not None)
        run.run(requests, clients)
        return run, run.ratios()
    finally:
        server.stop()


def untrained_export(folder: Path) -> Path:
    """An export with its good requests as warm-up records."""
    import numpy as np
    import tensorflow as tf

    from benchmarks.serving import make_exports, make_requests
    from serving.warmup import WARMUP_FILE, write_warmup_requests

    items = 1_000
    make_exports(folder, items)
    records: list[tuple[str, dict[str, Any]]] = [("embed", {"items": np.arange(20)})]
    for signature in ("rank", "rank_fresh"):
        for length in (40, 100):
            for request in make_requests("any", signature, length, items):
                records.append(
                    (signature, {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()})
                )
    write_warmup_requests(folder / "hybrid" / "1" / WARMUP_FILE, "any", records)
    return folder / "hybrid"


def main(argv: list[str] | None = None) -> int:
    """Fuzz and report; 1 when something went wrong."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument(
        "--batching", type=Path, help="file of batching parameters; nothing is joined without"
    )
    parser.add_argument("--export", type=Path, help="directory of versions; an untrained one by default")
    parser.add_argument("--kind", default="auto", help="as `e2egrec serve --kind`")
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        export = arguments.export or untrained_export(Path(directory))
        requests = 1_500 if arguments.quick else arguments.requests
        run, ratios = fuzz(
            export, requests, arguments.seed, arguments.clients, arguments.batching, arguments.kind
        )
    if not arguments.json:
        print("\n".join(run.surprises))
    figures = [{"what": name, "number": number} for name, number in sorted(run.counts.items())]
    resident = [bytes_ / 2**20 for _, bytes_ in run.memory]
    figures += [
        {"what": "memory at the start, MiB", "number": resident[0]},
        {"what": "memory at the end, MiB", "number": resident[-1]},
        {"what": "largest memory, MiB", "number": max(resident)},
        {"what": "seconds", "number": time.perf_counter() - started},
    ]
    targets = {
        key: target for key, target in TARGETS.items() if not (arguments.quick and key.startswith("mb_"))
    }
    return report("serving_fuzz", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())

"""Ten nights: validate, refresh, train, evaluate, export, each exported version swapped in while requests arrive all the time."""

import copy
import datetime
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.serving_fuzz import ServerProcess
from tests.cli.job import TINY, rewrite
from tests.faults.chain import MODEL
from tests.faults.constant_load import ConstantLoad
from tests.faults.share import share_of
from tests.faults.tally import COMPARED, SERVED, Tally
from tests.faults.warm_process import WarmProcess
from tf_e2egrec.dataset.artefact import Manifest
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

NIGHTS, REQUESTS, CALLS_PER_SECOND = 10, 100_000, 40.0
HISTORY = 4  # days before the first night
START = datetime.date(2026, 1, 5)
# Of some twenty users a day: the command is to run, not to judge.
LOOSE = ("--stability", "20", "--rate-ratio", "50", "--count-ratio", "10", "--overlap", "0", "--missing", "1")
MOST_MIB_PER_NIGHT = 60.0


class Nights:
    """Logs that grow by a day, and the commands of a night."""

    def __init__(self, folder: Path, warm: WarmProcess, nights: int) -> None:
        config = ShortVideoConfig(
            users=60, videos=60, days=HISTORY + nights, impressions=200 * (HISTORY + nights), start=START
        )
        self.run, self._warm = folder / "run", warm
        self._whole = write_short_video(config, folder / "whole")
        self._data = folder / "data"
        shutil.copytree(self._whole.parent, self._data)
        for path in sorted((self._data / "interactions").glob("*.parquet"))[HISTORY:]:
            path.unlink()
        self._description = self._data / "dataset.yaml"
        self._arrive(0)
        for name in ("swing", "subgraphs"):
            self._command(name, self._description, "--out", self.run)

    def night(self, number: int) -> dict[str, Any]:
        """The chain of one night, from 1; what the report says about it."""
        started = time.monotonic()
        day = sorted((self._whole.parent / "interactions").glob("*.parquet"))[HISTORY + number - 1]
        shutil.copy(day, self._data / "interactions" / day.name)
        self._arrive(number)
        self._command("validate", self._description, *LOOSE)
        self._command("refresh", self._description, "--out", self.run)
        self._command("train", self._description, "--out", self.run, "--models", MODEL, eagerly=True)
        self._command("evaluate", self.run, eagerly=True)
        self._command("export", self.run, "--model", MODEL, "--version", number)
        report = json.loads((self.run / "evaluation/report.json").read_text())["models"][MODEL]["overall"]
        trained = self._manifest(f"models/{MODEL}/seed-0")
        return {
            "night": number,
            "edges": self._manifest("graph").counters["edges"],
            "impressions": self._manifest("subgraphs").counters["impressions_train"],
            "valid AUC": trained.details["valid_auc"],
            "test AUC": report["auc"]["mean"],
            "seconds": time.monotonic() - started,
        }

    def _manifest(self, name: str) -> Manifest:
        return Manifest.model_validate_json((self.run / name / "manifest.json").read_text())

    def _arrive(self, number: int) -> None:
        """The description of a night: the newest day tests, the one before it validates."""
        days = [START + datetime.timedelta(days=HISTORY - 2 + number + one) for one in range(3)]

        def change(content: dict[str, Any]) -> None:
            content.update(copy.deepcopy(TINY))
            content["training"].update(batch_size=256)
            content["split"] = {"by": "time", "labels_from": str(START + datetime.timedelta(days=1))}
            content["split"] |= dict(
                zip(("train_until", "valid_until", "test_until"), map(str, days), strict=True)
            )

        rewrite(self._description, change)

    def _command(self, *arguments: object, **options: Any) -> None:
        done = self._warm.command(*arguments, below=self.run, **options)
        assert done.code == 0, f"{arguments[0]}: {done.err}"


def soak(folder: Path, warm: WarmProcess, nights: int, requests: int, tally: Tally) -> list[str]:
    """Lines of the report."""
    chain = Nights(folder, warm, nights)
    rows = [chain.night(1)]
    export = chain.run / "export" / MODEL
    server = ServerProcess(export, kind="development")
    try:
        with ConstantLoad(server, export, CALLS_PER_SECOND) as load:
            load.wait_for(1, 60.0)
            for number in range(1, nights + 1):
                if number > 1:
                    rows.append(chain.night(number))
                load.wait_for(requests * number // nights, 300.0)
                rows[-1] |= {"requests": load.served, "MiB": server.resident_bytes() / 2**20}
            deadline = time.monotonic() + 60
            while nights not in load.versions and time.monotonic() < deadline:
                time.sleep(0.5)
    finally:
        server.stop()
    tally.count(SERVED, load.served)
    tally.count(COMPARED, nights)
    tally.reasons += [f"a request failed: {one}" for one in load.failures]
    assert load.served >= requests
    assert set(load.versions) == set(range(1, nights + 1)), load.versions
    memory = np.array([row["MiB"] for row in rows[len(rows) // 2 - 1 :]])
    slope = float(np.polyfit(np.arange(len(memory)), memory, 1)[0]) if len(memory) > 2 else 0.0
    assert slope < MOST_MIB_PER_NIGHT
    assert all(np.isfinite(row["test AUC"]) for row in rows)
    p99 = 1000 * float(np.quantile(load.seconds, 0.99))
    lines = ["  ".join(f"{name:>11}" for name in rows[0])]
    lines += ["  ".join(f"{_text(value):>11}" for value in row.values()) for row in rows]
    return [
        *lines,
        f"memory of the server: {slope:+.1f} MiB a night over the second half; calls: p99 {p99:.0f} ms; failed: {len(load.failures)}",
    ]


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if value < 1 else f"{value:,.0f}"


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_ten_nights(
    warm: WarmProcess, tmp_path: Path, tally: Tally, record_property: Callable[[str, object], None]
) -> None:
    lines = soak(tmp_path, warm, share_of(NIGHTS), share_of(REQUESTS), tally)
    record_property("report", "\n".join(lines))

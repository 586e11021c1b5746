"""Fixtures of the harness, and the summary that `make faults` ends with."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chain import Chain
from tests.faults.share import SHARE
from tests.faults.tally import NAMES, Tally
from tests.faults.warm_process import WarmProcess


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    """Where commands run."""
    process = WarmProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess) -> Chain:
    """The nightly chain, undisturbed; not to be changed."""
    return Chain(tmp_path_factory.mktemp("chain"), warm)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """Counts for the summary; what failed is shown in one assertion."""
    made = Tally(record_property)
    yield made
    made.close()
    assert not made.reasons, f"{len(made.reasons)} failures:\n" + "\n".join(made.reasons[:20])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Add up what the tests counted."""
    totals, failures, reports_of = Counter[str](), [], []
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if "tests/faults/" not in getattr(report, "nodeid", ""):
                continue
            if getattr(report, "when", "") == "teardown":  # which holds what setup and call recorded, too
                totals.update({name: n for name, n in report.user_properties if name in NAMES})
                reports_of += [text for name, text in report.user_properties if name == "report"]
            if outcome in ("failed", "error"):
                said = str(getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longrepr))
                failures.append(f"{Path(report.nodeid).name}: {said.splitlines()[0][:200]}")
    if not totals:
        return
    terminalreporter.section("faults" if SHARE == 1 else f"faults, {SHARE:.0%} of them")
    for text in reports_of:
        terminalreporter.write_line(text)
    for name in NAMES:
        terminalreporter.write_line(f"{name:>20}: {totals[name]:,}")
    terminalreporter.write_line(f"{'failures':>20}: {len(failures)}")
    for reason in failures:
        terminalreporter.write_line(f"  {reason}")

"""The plot of a load test. The only module that needs matplotlib."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from serving.load_test.load_outcome import LoadOutcome


def write_load_plot(outcome: LoadOutcome, path: Path, title: str) -> None:
    """Write a PNG: latency over time, with failed requests as crosses, and the distribution of the answered ones.

    Args:
      outcome: at least one request.
      path: the file.
      title: above both.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    over_time, distribution = figure.subplots(1, 2)
    figure.suptitle(title)
    answered, latency = outcome.answered, 1000 * outcome.latency
    over_time.plot(outcome.scheduled[answered], latency[answered], ".", markersize=3, label="answered")
    if not answered.all():
        over_time.plot(
            outcome.scheduled[~answered],
            latency[~answered],
            "x",
            color="tab:red",
            markersize=4,
            label="failed",
        )
        over_time.legend()
    over_time.set(xlabel="scheduled, s after the start", ylabel="latency, ms", yscale="log")
    if answered.any():
        values = np.sort(latency[answered])
        distribution.plot(values, np.arange(1, len(values) + 1) / len(values))
        for name, seconds in list(outcome.percentiles().items())[:3]:
            distribution.axvline(1000 * seconds, color="grey", linewidth=0.8, linestyle=":")
            distribution.annotate(name, (1000 * seconds, 0.02), rotation=90, fontsize=8)
    distribution.set(xlabel="latency, ms", ylabel="share of answers", xscale="log", ylim=(0, 1.02))
    for axes, latencies in ((over_time, over_time.yaxis), (distribution, distribution.xaxis)):
        axes.grid(alpha=0.3)
        latencies.set_major_locator(LogLocator(subs=(1, 2, 5)))
        latencies.set_major_formatter(ScalarFormatter())
        latencies.set_minor_formatter(NullFormatter())
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")

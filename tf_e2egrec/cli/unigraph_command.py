"""The command that writes the heterogeneous graph for other tools."""

from typing import Annotated

import typer

from tf_e2egrec.cli.console import announce, console, show_counters, working
from tf_e2egrec.cli.current import require_current_graph
from tf_e2egrec.cli.options import Beam, Data, Dataset, Out, beam_arguments, open_run


def unigraph(
    dataset: Dataset,
    out: Out,
    data: Data = None,
    snapshot: Annotated[
        str, typer.Option("--snapshot", help="`latest`, or the number of a graph snapshot.")
    ] = "latest",
    beam: Beam = "",
) -> None:
    """Write the heterogeneous graph of one snapshot in TF-GNN's unigraph layout, with a Beam pipeline.

    Reads RUN_DIR/graph (`e2egrec swing`) and the logs; writes RUN_DIR/unigraph.

    Example: e2egrec unigraph runs/demo/data/dataset.yaml --out runs/demo/run --snapshot latest
    """
    from beam_pipelines.unigraph import parse_snapshot, run_unigraph, statistics_tables

    description, run = open_run(dataset, out, data)
    chosen, beam_args = parse_snapshot(snapshot), beam_arguments(beam)
    require_current_graph(description, run)
    output = run.root / "unigraph"
    announce("unigraph", f"{run.graph}, the logs and the feature tables of {description.name}", str(output))
    with working("unigraph"):
        manifest = run_unigraph(description, run.graph, output, beam_args, chosen)
    show_counters(manifest.counters)
    for table in statistics_tables(manifest):
        console.print(table)

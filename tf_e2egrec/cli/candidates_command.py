"""The command that exports a search for candidates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tf_e2egrec.cli.console import announce, console, working
from tf_e2egrec.cli.options import Run
from tf_e2egrec.stages.run_directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

    from tf_e2egrec.stages.retrieval_recall import Recall


def candidates(
    run_dir: Run,
    model: Annotated[str, typer.Option(help="Which model.")] = "R5",
    seed: Annotated[int, typer.Option(help="Which seed.")] = 0,
    to: Annotated[
        Path | None, typer.Option(help="The base path; RUN_DIR/export/MODEL-candidates by default.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many items a request finds.")] = 100,
    similarity: Annotated[
        Literal["cosine", "dot"],
        typer.Option(help="Of a user's query and an item; `dot` favours items of long vectors."),
    ] = "cosine",
    version: Annotated[
        int | None, typer.Option(min=1, help="Version number; the next one by default.")
    ] = None,
) -> None:
    """Export a search for candidates: the items whose vectors are nearest to a user's recent ones.

    For a start without a retrieval stage of one's own. Prints how many positives of the validation split it would have found,
    beside what popular items would have.

    Example: e2egrec candidates runs/demo/run --top 100
    """
    from serving.rollout.version_files import add_batching_parameters
    from serving.warmup import WARMUP_FILE, write_warmup
    from tf_e2egrec.models.variant import variant_named
    from tf_e2egrec.stages.export_candidates import CandidatesOptions, export_candidates

    variant_named(model)
    run = RunDirectory(run_dir)
    base = to if to is not None else run.exports / f"{model}-candidates"
    announce("candidates", str(run.model(model, seed)), str(base))

    def add_server_files(directory: Path, requests: "list[dict[str, np.ndarray]]") -> None:
        add_batching_parameters(directory)
        write_warmup(directory / WARMUP_FILE, base.name, "retrieve", requests)

    with working("candidates"):
        options = CandidatesOptions(top, similarity, version, finish=add_server_files)
        exported = export_candidates(run, model, seed, base, options)
    recall = exported.recall
    console.print(
        f"  recall@{recall.k} of {recall.rows:,} positives of the validation split ({recall.with_history:,} have a recent item; "
        "the others are answered popular items)",
        soft_wrap=True,
    )
    console.print(recall_table(recall))
    console.print(f"  wrote {exported.directory}; next: e2egrec serve {base}", soft_wrap=True)


def recall_table(recall: "Recall") -> "Table":
    """Recall beside what popularity and chance find."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    rows = {
        "this search": f"{recall.found:.4f} +- {recall.standard_error:.4f}",
        "popular items": f"{recall.popular:.4f}",
        "chance": f"{recall.chance:.4f}",
    }
    for name, share in rows.items():
        table.add_row(name, share)
    return table

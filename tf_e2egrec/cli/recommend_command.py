"""The command that trains and compares retrieval models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tf_e2egrec.cli.console import announce, console, say_up_to_date, warn, working
from tf_e2egrec.cli.options import Data, Dataset, Force, Seeds
from tf_e2egrec.dataset.description import DatasetDescription, load_description
from tf_e2egrec.dataset.read_report import USER_IDS, item_ids
from tf_e2egrec.errors import E2EGRecError

if TYPE_CHECKING:
    import numpy as np

    from tf_e2egrec.dataset.artefact import Manifest
    from tf_e2egrec.dataset.log_blocks import LogFiles
    from tf_e2egrec.retrieval.splits import RetrievalSplit

    Kinds = dict[str, dict[str, str]]  # `ReadReport.kinds`


def recommend(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", help="The directory (DIR) of the models and the report.")],
    data: Data = None,
    models: Annotated[
        str,
        typer.Option(
            "--models",
            help="Models, separated by commas: mf, mf-conv (mf, convolved after training), directau, lightgcn, lightgode.",
        ),
    ] = "mf,mf-conv,lightgcn,lightgode",
    seeds: Seeds = 1,
    export: Annotated[
        str | None,
        typer.Option(
            help="A model (seed 0) to write as a SavedModel, with the next version in DIR/export/MODEL."
        ),
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="With --export: items of an answer.")] = 100,
    force: Force = False,
) -> None:
    """Train retrieval models on whole logs, and rank all items for every tested user.

    `recommend` of the description says how. A model that is up to date in DIR is reused, and an interrupted one goes on where it
    stopped. Writes DIR/report.json, DIR/report.md and, where matplotlib is installed, DIR/discrepancy.png.

    Example: e2egrec recommend configs/amazon-beauty.yaml --data ../amazon-beauty --out runs/beauty --seeds 3
    """
    from tf_e2egrec.evaluation.sheet import rich_table
    from tf_e2egrec.retrieval.catalogue import recommender_names
    from tf_e2egrec.retrieval.comparison import build_report, report_notes, report_sheets, write_report
    from tf_e2egrec.retrieval.discrepancy import plot_discrepancy

    names = recommender_names(models)
    if export is not None and export not in names:
        raise E2EGRecError(f"--export {export} is not among --models {','.join(names)}; name one of them")
    description = load_description(dataset, data)
    announce("recommend", ", ".join(description.interactions[0].paths), str(out))
    with working("read and split the log"):
        split, files, kinds = _split_of(description)
        texts = None if export is None else _texts_of_items(description, split, files, kinds)
    out.mkdir(parents=True, exist_ok=True)
    finished = _train(description, split, names, seeds, out, force)
    report = build_report(description, split, finished)
    write_report(report, out)
    try:
        plot_discrepancy(
            {name: one["discrepancy"] for name, one in report["models"].items()}, out / "discrepancy.png"
        )
    except E2EGRecError as error:
        warn(str(error))
    for sheet in report_sheets(report):
        console.print(rich_table(sheet))
    for note in report_notes(report):
        console.print(note)
    console.print(f"wrote {out / 'report.md'}", soft_wrap=True)
    if export is not None:
        from serving.rollout.version_files import add_batching_parameters
        from tf_e2egrec.retrieval.export import export_recommender
        from tf_e2egrec.retrieval.train import model_directory

        trained, to = model_directory(out, export, 0), out / "export" / export
        made = export_recommender(
            trained,
            split,
            to,
            items,
            finish=add_batching_parameters,
            texts=texts,
            users_are_text="text" in kinds.get(USER_IDS, {}),
        )
        console.print(f"wrote {made}", soft_wrap=True)


def _split_of(description: DatasetDescription) -> tuple["RetrievalSplit", "LogFiles", "Kinds"]:
    """The split of the described logs, the files that were read, and which ids are integers and which text."""
    from beam_pipelines.transforms.file_patterns import match_files, open_raw
    from tf_e2egrec.retrieval.interactions import read_interactions
    from tf_e2egrec.retrieval.splits import split_interactions

    spec, root = description.recommend, description.data_root
    files = [
        (number, file.path)
        for number, log in enumerate(description.interactions)
        for file in match_files(log.paths, root, f"interactions.{number}.paths")
    ]
    interactions, report = read_interactions(description, files, open_raw)
    fixed_test, kinds = None, report.kinds
    if spec.test_paths:
        tested = [(0, file.path) for file in match_files(spec.test_paths, root, "recommend.test_paths")]
        fixed_test, _ = read_interactions(description, tested, open_raw)
        files += tested
    split = split_interactions(interactions, spec, description.seed, fixed_test)
    return split._replace(counters=report.counters | split.counters), files, kinds


def _texts_of_items(
    description: DatasetDescription, split: "RetrievalSplit", files: "LogFiles", kinds: "Kinds"
) -> "np.ndarray | None":
    """The ids of the split's items where they are text, for an export; None where they are integers."""
    from beam_pipelines.transforms.file_patterns import open_raw
    from tf_e2egrec.retrieval.item_texts import item_texts

    where = {
        kind: path for domain in description.domains for kind, path in kinds.get(item_ids(domain), {}).items()
    }
    if "text" not in where:
        return None
    if len(where) > 1:
        raise E2EGRecError(
            f"--export needs item ids of one kind, but they are text in {where['text']} and integers in {where['integers']}; "
            "write all of them as text"
        )
    return item_texts(description, files, open_raw, split.item_keys)


def _train(
    description: DatasetDescription,
    split: "RetrievalSplit",
    names: list[str],
    seeds: int,
    out: Path,
    force: bool,
) -> dict[str, list["Manifest"]]:
    """The manifests of all models, those that are missing trained."""
    from tf_e2egrec.retrieval.train import (
        finished_model,
        model_directory,
        split_fingerprint,
        train_recommender,
    )
    from tf_e2egrec.retrieval.user_item_graph import UserItemGraph

    graph, data = UserItemGraph(split.train), split_fingerprint(split)
    finished: dict[str, list[Manifest]] = {}
    for seed in range(seeds):
        for name in names:
            directory = model_directory(out, name, seed)
            manifest = None if force else finished_model(directory, description, data, name, seed)
            if manifest is None:
                directory.parent.mkdir(parents=True, exist_ok=True)
                manifest = train_recommender(directory, description, split, graph, name, seed, console)
            else:
                say_up_to_date("recommend", directory)
            finished.setdefault(name, []).append(manifest)
    return finished

"""What the graphs of a comparison share, and what they must not differ in."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.dataset.artefact import Manifest, StaleArtefactError, publish, read_manifest
from tf_e2egrec.errors import E2EGRecError


def share_edges(directory: CompareDirectory, graph: str, fingerprint: str) -> Path | None:
    """Take over the edges of another graph of the comparison: settings such as `graph.sampling.fanout` leave them as they are.

    Args:
      directory: of the comparison.
      graph: which has no edges yet; one that has some is left alone.
      fingerprint: that its edges will have.

    Returns:
      Where they came from; None where there are none to take.
    """
    target = directory.run(graph).graph
    if target.exists():
        return None
    for path in sorted((directory.root / "graphs").glob("[!.]*/graph/manifest.json")):
        try:
            found = read_manifest(path.parent, "swing", "e2egrec compare").fingerprint
        except StaleArtefactError:
            continue
        if found == fingerprint:
            with publish(target) as staging:
                shutil.copytree(path.parent, staging, copy_function=_link, dirs_exist_ok=True)
            return path.parent
    return None


def require_same_counts(directory: CompareDirectory, graphs: Sequence[str]) -> None:
    """Refuse graphs whose impressions differ in number, before anything is trained on them.

    Raises:
      E2EGRecError: they do. (`read_predictions` compares the test rows themselves.)
    """
    first: Manifest | None = None
    for graph in graphs:
        path = directory.run(graph).subgraphs
        manifest = read_manifest(path, "subgraphs", "e2egrec compare")
        first = first or manifest
        for split in ("train", "valid", "test"):
            ours, theirs = (one.counters.get(f"impressions_{split}", 0) for one in (manifest, first))
            if ours != theirs:
                raise E2EGRecError(
                    f"{path} holds {ours} impressions of `{split}`, but {directory.run(graphs[0]).subgraphs} holds {theirs}: leave "
                    f"out the models of this graph, whose settings ({directory.description_file(graph)}) change the rows"
                )


def _link(source: str, target: str) -> None:
    """No second copy where the file system can do without: artefacts are replaced, never written to."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

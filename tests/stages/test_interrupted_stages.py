"""A stage that raises in its middle leaves the former artefact as it was, and nothing half-written."""

import hashlib

import pytest

from tests.cli.job import e2egrec, manifest, rewrite
from tf_e2egrec.errors import E2EGRecError


def digest(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def strays(run):
    return [path for path in run.rglob(".*") if "staging" in path.name]


class Interrupt(BaseException):
    """Neither a mistake of the user's nor an Exception, as Ctrl-C is none."""


def raising(kind):
    def stop(*args, **kwargs):
        raise kind("stopped in the middle")

    return stop


CASES = {
    "swing, at its end": ("beam_pipelines.swing.write_manifest", ("swing", "DATA", "--out", "RUN", "--force")),
    "swing, in a worker": ("beam_pipelines.transforms.swing_shard.window_edges", ("swing", "DATA", "--out", "RUN", "--force")),
    "subgraphs, after the records": ("beam_pipelines.subgraphs._write_schema", ("subgraphs", "DATA", "--out", "RUN", "--force")),
    "train, while it fits": ("tf_e2egrec.models.E2EGRec.fit", ("train", "DATA", "--out", "RUN", "--models", "R0", "--force")),
    "train, while it saves": ("tf_e2egrec.models.E2EGRec.save", ("train", "DATA", "--out", "RUN", "--models", "R0", "--force")),
    "evaluate": ("tf_e2egrec.stages.evaluate.write_report", ("evaluate", "RUN", "--force")),
    "export, while it saves": ("tensorflow.saved_model.save", ("export", "RUN")),
    "export, warm-up": ("serving.warmup.write_warmup_requests", ("export", "RUN")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "kind"), [*((case, RuntimeError) for case in CASES), ("train, while it fits", Interrupt)]
)
def test_the_former_artefact_stays(data, run_copy, monkeypatch, case, kind):
    target, arguments = CASES[case]
    before = digest(run_copy)
    monkeypatch.setattr(target, raising(kind))
    names = {"DATA": data, "RUN": run_copy}
    with pytest.raises(kind, match="stopped in the middle"):
        e2egrec(*(names.get(argument, argument) for argument in arguments))
    assert digest(run_copy) == before
    assert strays(run_copy) == []


def test_what_a_killed_run_left_is_removed_by_the_next(data, run_copy):
    left = run_copy / ".graph.staging-0123abcd"
    (left / "edges").mkdir(parents=True)
    assert e2egrec("swing", data, "--out", run_copy, "--force").code == 0
    assert strays(run_copy) == []


def test_an_artefact_without_manifest_is_none(data, run_copy):
    (run_copy / "graph/manifest.json").unlink()
    done = e2egrec("subgraphs", data, "--out", run_copy, "--force")
    assert done.code == 2
    assert "holds no finished swing output; run `e2egrec swing` first" in done.err
    assert e2egrec("swing", data, "--out", run_copy).code == 0
    assert "is up to date" in e2egrec("subgraphs", data, "--out", run_copy).out  # the same graph as before


def test_a_description_that_changed_only_the_training_keeps_the_subgraphs(data, run_copy, tmp_path):
    changed = rewrite(data, lambda c: c["training"].update(learning_rate=0.01), tmp_path / "changed.yaml")
    before = manifest(run_copy / "models/R0/seed-0")
    done = e2egrec("train", changed, "--data", data.parent, "--out", run_copy, "--models", "R0")
    assert (done.code, done.err) == (0, "")
    after = manifest(run_copy / "models/R0/seed-0")
    assert after.upstream == before.upstream
    assert after.fingerprint != before.fingerprint
    assert "learning_rate: 0.01" in (run_copy / "dataset.yaml").read_text()


def test_a_run_directory_is_described():
    from pathlib import Path

    from tf_e2egrec.stages.run_directory import RunDirectory

    with pytest.raises(E2EGRecError, match=r"nowhere is not a run directory .* run `e2egrec swing` first"):
        RunDirectory(Path("nowhere")).description()
    assert RunDirectory(Path("nowhere")).trained_models() == []

"""What `e2egrec export` refuses before it makes anything."""

import pytest

from tests.cli.job import refuse


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--min-auc", 1), (r"below --min-auc 1; nothing was published",)),
        (("--model", "R0", "--kind", "hybrid"), ("it sees no graph; use --kind table",)),
    ],
)
def test_refused(job, tmp_path, options, says):
    refuse("export", job[0], "--to", tmp_path / "m", *options, says=says)
    assert not (tmp_path / "m").exists()


def test_a_worse_model_than_the_live_one(run_copy):
    manifest = run_copy / "export/R5/1/assets.extra/manifest.json"
    text = manifest.read_text()
    now = text.split('"valid_auc": ')[1].split(",")[0]
    manifest.write_text(text.replace(f'"valid_auc": {now}', '"valid_auc": 0.999'))
    refuse(
        "export", run_copy, "--not-worse-than-live", "--tolerance", 0.1,
        says=(r"that of the newest version in \S+/export/R5 0\.9990, and --tolerance is 0\.1",),
    )  # fmt: skip
    assert [path.name for path in (run_copy / "export/R5").iterdir()] == ["1"]

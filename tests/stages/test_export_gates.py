import json

import pytest

from tf_e2egrec.dataset.artefact import Manifest, write_manifest
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.export_gates import live_manifest, require_good_enough, versions_in


def publish(base, version, details):
    directory = base / str(version) / "assets.extra"
    directory.mkdir(parents=True)
    write_manifest(
        directory, Manifest(stage="export", configuration={}, fingerprint="f", inputs="i", details=details)
    )


def test_versions_are_integers_only(tmp_path):
    assert versions_in(tmp_path / "nowhere") == []
    for name in ("10", "9", ".staging-1", "notes"):
        (tmp_path / name).mkdir()
    assert versions_in(tmp_path) == [9, 10]


def test_without_a_gate_everything_passes(tmp_path):
    require_good_enough(None, tmp_path)


@pytest.mark.parametrize(
    ("auc", "floor", "passes"),
    [(0.7, 0.7, True), (0.69, 0.7, False), (None, 0.0, False), (float("nan"), 0.0, False)],
)
def test_the_floor(tmp_path, auc, floor, passes):
    if passes:
        require_good_enough(auc, tmp_path, min_auc=floor)
        return
    with pytest.raises(E2EGRecError, match=r"nothing was published|no validation AUC"):
        require_good_enough(auc, tmp_path, min_auc=floor)


@pytest.mark.parametrize(
    ("auc", "tolerance", "passes"),
    [(0.75, 0.0, True), (0.745, 0.0, False), (0.745, 0.01, True), (0.73, 0.01, False)],
)
def test_against_the_newest_version(tmp_path, auc, tolerance, passes):
    publish(tmp_path, 2, {"valid_auc": 0.9})
    publish(tmp_path, 10, {"valid_auc": 0.75})
    if passes:
        require_good_enough(auc, tmp_path, live_tolerance=tolerance)
        return
    with pytest.raises(E2EGRecError, match=r"0\.7500, and --tolerance is"):
        require_good_enough(auc, tmp_path, live_tolerance=tolerance)


def test_the_first_version_has_nothing_to_be_worse_than(tmp_path):
    require_good_enough(0.6, tmp_path, live_tolerance=0.0)


def test_a_version_that_cannot_be_compared_with(tmp_path):
    publish(tmp_path, 1, {})
    with pytest.raises(E2EGRecError, match="says no validation AUC"):
        require_good_enough(0.6, tmp_path, live_tolerance=0.0)
    (tmp_path / "2").mkdir()
    with pytest.raises(E2EGRecError, match="leave --not-worse-than-live out"):
        live_manifest(tmp_path)
    (tmp_path / "2/assets.extra").mkdir()
    (tmp_path / "2/assets.extra/manifest.json").write_text(json.dumps({"stage": "train"}))
    with pytest.raises(E2EGRecError, match="cannot be compared with"):
        live_manifest(tmp_path)

import logging

import pytest

from tests.cli.job import e2egrec


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the graph has no Swing edges", "warning: the graph has no Swing edges\n"),
        ("apitools not found, and so on", ""),
        ("5 out of the last 13 calls to <f> triggered tf.function retracing. Tracing is expensive", ""),
    ],
)
def test_warnings_are_one_line_and_notices_are_left_out(monkeypatch, tmp_path, said, shown):
    def load(path, root):
        logging.getLogger("anything").warning(said)
        logging.getLogger("anything").info("not shown")
        raise SystemExit(0)

    monkeypatch.setattr("tf_e2egrec.cli.options.load_description", load)
    assert e2egrec("swing", "x.yaml", "--out", tmp_path).err == shown

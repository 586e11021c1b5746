import pytest

from tests.toy_data import DESCRIPTION
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.description.sampling_spec import SamplingSpec
from tf_e2egrec.errors import E2EGRecError


def described(format: str, resample: str):
    text = DESCRIPTION.replace("top: 5}", f"top: 5, format: {format}}}")
    return parse_description(text + f"training: {{resample: {resample}}}\n", "toy.yaml")


@pytest.mark.parametrize("resample", ["epoch", "step"])
def test_new_samples_need_a_table(resample):
    with pytest.raises(
        E2EGRecError, match=rf"`training.resample: {resample}` .* set the format to `table` or `both`"
    ):
        described("records", resample)
    for format in ("table", "both"):
        assert described(format, resample).training.resample == resample


def test_no_format_needs_new_samples():
    for format in ("records", "table", "both"):
        assert described(format, "never").graph.sampling.format == format
    with pytest.raises(E2EGRecError, match=r"`graph.sampling.format`: .*'records', 'table' or 'both'"):
        described("arrow", "never")


def test_what_each_format_holds():
    found = {
        one: (SamplingSpec(format=one).has_neighbours_in_records, SamplingSpec(format=one).has_table)
        for one in ("records", "table", "both")
    }
    assert found == {"records": (True, False), "table": (False, True), "both": (True, True)}

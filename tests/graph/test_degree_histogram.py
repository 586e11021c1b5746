import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.graph.degree_histogram import DegreeHistogram

DEGREES = st.lists(st.integers(0, 12), max_size=60)


@given(parts=st.lists(DEGREES, max_size=4))
def test_merged_histograms_are_the_histogram_of_all_nodes(parts):
    merged = DegreeHistogram.merged(DegreeHistogram.of(np.array(part, np.int64)) for part in parts)
    degrees = sorted(degree for part in parts for degree in part)
    again = DegreeHistogram.from_bytes(merged.to_bytes())
    assert merged.total == again.total == len(degrees)
    assert merged.isolated == degrees.count(0)
    if not degrees:
        assert merged.summary() == {"isolated": 0.0}
        return
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    expected = {
        name: degrees[max(math.ceil(share * len(degrees) - 1e-9), 1) - 1] for name, share in shares.items()
    }
    assert again.quantiles() == expected
    assert merged.summary()["isolated"] == degrees.count(0) / len(degrees)

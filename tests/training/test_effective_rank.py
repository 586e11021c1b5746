import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.training import effective_rank


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 20),
    columns=st.integers(1, 6),
    scale=st.floats(0.01, 100),
)
def test_effective_rank_is_that_of_the_singular_values(seed, rows, columns, scale):
    x = scale * np.random.default_rng(seed).normal(size=(rows, columns))
    share = np.linalg.svd(x, compute_uv=False)
    share = share[share > 0] / share.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert float(effective_rank(tf.constant(x, tf.float32))) == pytest.approx(expected, rel=1e-4)


def test_effective_rank_of_simple_matrices():
    assert float(effective_rank(tf.eye(5))) == pytest.approx(5)
    assert float(effective_rank(tf.ones([7, 3]))) == pytest.approx(1, abs=1e-4)
    assert float(effective_rank(tf.zeros([4, 3]))) == 0.0
    assert float(effective_rank(tf.zeros([0, 3]))) == 0.0
    assert float(effective_rank(tf.constant([[1.0, float("nan")]]))) == 0.0

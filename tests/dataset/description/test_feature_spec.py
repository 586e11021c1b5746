import pytest

from tf_e2egrec.dataset.description import FeatureSpec


@pytest.mark.parametrize(
    "arguments", [{"type": "numeric"}, {"type": "dense", "dimension": 3}], ids=["numeric", "dense"]
)
def test_only_categorical_features_are_hashed(arguments):
    assert FeatureSpec(name="tag", type="categorical", hash_buckets=10).hash_buckets == 10
    with pytest.raises(ValueError, match="`tag`: only categorical features can have `hash_buckets`"):
        FeatureSpec(name="tag", hash_buckets=10, **arguments)


def test_several_hashes_need_buckets():
    assert FeatureSpec(name="tag", type="categorical", hash_buckets=10, hashes=2).hashes == 2
    with pytest.raises(ValueError, match="`tag`: `hashes` goes with `hash_buckets`"):
        FeatureSpec(name="tag", type="categorical", hashes=2)

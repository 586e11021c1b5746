import pytest

from tests.toy_data import toy_description, toy_model
from tf_e2egrec.models import VARIANTS, parameter_counts


@pytest.fixture(scope="module")
def models():
    return {name: toy_model(name) for name in VARIANTS}


@pytest.fixture(scope="module")
def counts(models):
    return {name: parameter_counts(model) for name, model in models.items()}


def outside_embeddings(count):
    return count["total"] - count["embeddings"]


def test_the_parts_are_the_whole(models, counts):
    for name, count in counts.items():
        parts = sum(count[part] for part in ("embeddings", "ranker", "gnn", "fusion", "towers"))
        assert parts == count["total"], name
        variables = models[name].trainable_variables
        assert sum(int(v.shape.num_elements()) for v in variables) == count["total"] - count["frozen"], name


@pytest.mark.parametrize(
    "name",
    ["R1", "R1-post-convolution", "R2", "R2b", "R3", "R4", "R5-random-graph", "R5-cooccurrence", "R5-2-hops"],
)
def test_models_of_the_comparison_have_as_many_parameters_as_the_full_one(counts, name):
    assert outside_embeddings(counts[name]) == pytest.approx(outside_embeddings(counts["R5"]), rel=0.01)
    if not VARIANTS[name].is_cascade:
        assert counts[name] == counts["R5"]


def test_a_cascade_has_embeddings_of_its_own_and_they_are_frozen(counts):
    genre, age, ids = 5 * 4, 4 * 4, 8  # rows times width of the toy features' tables; width of the ids'
    own_items, own_users = 26 * ids + genre, 13 * ids + age
    item_kernel, user_kernel = (8 + 4 + 1) * 8, (8 + 4) * 8
    full = counts["R5"]["embeddings"]
    assert counts["R2"]["embeddings"] == full + own_items
    assert counts["R2"]["frozen"] == own_items + item_kernel
    assert counts["R2b"]["embeddings"] == full + own_items + own_users
    assert counts["R2b"]["frozen"] == own_items + own_users + item_kernel + user_kernel
    assert counts["R5"]["frozen"] == 0


def test_the_ranker_without_graph_lacks_the_token_and_nothing_else(counts):
    """F_GNN makes 3 fusion parts of 2, which widens the fusion and the first layer of the towers."""
    without, full, spec = counts["R0"], counts["R5"], toy_description().model
    assert without["embeddings"] == full["embeddings"]
    assert without["ranker"] == full["ranker"]
    assert without["gnn"] == 0
    gates = [(parts * spec.dim) ** 2 + parts * spec.dim for parts in (2, 3)]
    assert full["fusion"] - without["fusion"] == gates[1] - gates[0]
    assert full["towers"] - without["towers"] == 2 * spec.dim * spec.tower_units[0]

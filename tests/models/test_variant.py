import subprocess
import sys

import pytest

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.models import VARIANTS, variant_named
from tf_e2egrec.models.variant import Variant, require_edges


def test_the_rows_of_the_comparison_are_all_there():
    assert set(VARIANTS) >= {
        "R0", "R1", "R1-post-convolution", "R2", "R2b", "R3", "R4", "R5",
        "R5-gate", "R5-bottom", "R5-attention", "R5-concat", "R5-graphsage", "R5-random-graph", "R5-cooccurrence",
        "R5-2-hops",
    }  # fmt: skip
    assert len({variant.meaning for variant in VARIANTS.values()}) == len(VARIANTS)


@pytest.mark.parametrize(
    ("name", "without"), [
        ("R3", {"ssl", "balance"}), ("R4", {"balance"}), ("R5-gate", {"fusion"}), ("R5-random-graph", {"edges"}), ("R5-2-hops", {"edges"}),
    ],
)  # fmt: skip
def test_an_ablation_takes_away_what_it_says_and_nothing_else(name, without):
    full, ablated = VARIANTS["R5"].model_dump(), VARIANTS[name].model_dump()
    assert {key for key in full if full[key] != ablated[key]} == without | {"meaning"}


def test_the_bottom_fusion_has_two_names():
    assert VARIANTS["R5-bottom"].model_dump(exclude={"meaning"}) == VARIANTS["R5-gate"].model_dump(
        exclude={"meaning"}
    )


@pytest.mark.parametrize(
    ("token", "training", "sees"),
    [
        ("none", False, False), ("features", False, False), ("graph", True, True), ("graph", False, True),
        ("features-then-graph", True, False), ("features-then-graph", False, True), ("features-then-graph", None, True),
    ],
)  # fmt: skip
def test_who_sees_neighbours(token, training, sees):
    assert Variant(token=token, meaning="").propagates(training) == sees


def test_an_unknown_model_is_refused():
    with pytest.raises(E2EGRecError, match="there is no model `R9`; choose from R0, R1"):
        variant_named("R9")


@pytest.mark.parametrize(
    ("name", "edges"), [("R5", "random"), ("R3", "co-occurrence"), ("R5-random-graph", "swing"), ("R1-post-convolution", "random"),
     ("R5-2-hops", "swing"), ("R5", "two-hop")]
)  # fmt: skip
def test_a_model_refuses_the_wrong_graph(name, edges):
    needed = VARIANTS[name].edges
    with pytest.raises(
        E2EGRecError, match=f"`{name}` needs `graph.edges: {needed}`, but the description says `{edges}`"
    ):
        require_edges(name, edges)


def test_a_model_takes_its_own_graph_and_one_without_graph_takes_any():
    for name, variant in VARIANTS.items():
        require_edges(name, variant.edges)
    for edges in ("swing", "co-occurrence", "random", "two-hop"):
        require_edges("R0", edges)
        require_edges("R1", edges)


def test_names_of_models_cost_no_tensorflow():
    code = "import sys; from tf_e2egrec.models import VARIANTS; from tf_e2egrec.models.variant import variant_named\n"
    code += "assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_the_package_says_so():
    import tf_e2egrec.models

    with pytest.raises(AttributeError, match="no attribute `Nothing`"):
        tf_e2egrec.models.Nothing  # noqa: B018
    assert all(getattr(tf_e2egrec.models, name) is not None for name in tf_e2egrec.models.__all__)

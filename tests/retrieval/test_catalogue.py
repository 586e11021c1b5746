import numpy as np
import pytest

from tests.retrieval.toys import matrix
from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval.catalogue import compiled_recommender
from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


@pytest.mark.parametrize("name", ["lightgcn", "mf-conv"])
@pytest.mark.parametrize("weights", [None, [0.0, 0.25, 0.75]])
def test_layer_weights_reach_the_convolution_in_and_after_training(name, weights):
    graph = UserItemGraph(matrix(3))
    spec = RecommendSpec.model_validate({"dim": 4, "lightgcn": {"layers": 2, "layer_weights": weights}})
    model = compiled_recommender(name, graph, spec, seed=1)
    expected = light_gcn_convolution(graph, model.embeddings, 2, weights)
    np.testing.assert_array_equal(model.final_table(), expected)
    assert np.abs(expected - model.embeddings).max() > 1e-3

"""The three models: what their training graphs hold, what they score by, and that they learn."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.retrieval.toys import clusters, matrix, normalised
from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.retrieval.catalogue import KINDS, compiled_recommender, meaning_of
from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.epochs import steps_per_epoch, training_batches
from tf_e2egrec.retrieval.full_ranking import evaluate_ranking
from tf_e2egrec.retrieval.light_gcn import LightGCN
from tf_e2egrec.retrieval.light_gode import LightGODE
from tf_e2egrec.retrieval.losses import alignment_uniformity_loss, sampled_bpr_loss, sampled_softmax_loss
from tf_e2egrec.retrieval.matrix_factorization import MatrixFactorization
from tf_e2egrec.retrieval.seen_items import SeenItems
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph

FAST = {"learning_rate": 0.05, "batch_size": 64, "epochs": 15}
SPEC = RecommendSpec(top=[10], dim=8, mf=FAST, lightgcn=FAST, lightgode=FAST)
BY_SOFTMAX = FAST | {"loss": "softmax", "schedule": "cosine", "temperature": 0.2}
SOFTMAX = RecommendSpec(top=[10], dim=8, mf=BY_SOFTMAX, lightgcn=BY_SOFTMAX, lightgode=BY_SOFTMAX)
GRAPH_OPS = {
    "SparseTensorToCSRSparseMatrix",
    "SparseMatrixMatMul",
    "SparseTensorDenseMatMul",
    "SparseSegmentSum",
}


def training_ops(model):
    """Types of all operations of the training step, inner functions included, and the sizes of what it captures."""
    model.compile(tf.keras.optimizers.SGD(0.1))
    batch = [tf.zeros(4, tf.int32)] * 3
    concrete = tf.function(lambda *data: model.train_step(data)).get_concrete_function(*batch)
    definition = concrete.graph.as_graph_def()
    nodes = [*definition.node, *(node for one in definition.library.function for node in one.node_def)]
    captured = [tensor.shape.num_elements() or 0 for tensor, _ in concrete.graph.captures]
    return {node.op for node in nodes}, captured


def test_lightgode_trains_without_any_graph_and_lightgcn_with_one():
    graph = UserItemGraph(matrix(0, users=30, items=20))
    edges = len(graph.matrix.values)
    ops, captured = training_ops(LightGODE(graph, dim=4))
    assert not ops & GRAPH_OPS
    assert edges not in captured and 2 * edges not in captured
    ops, captured = training_ops(LightGCN(graph, dim=4))
    assert "SparseMatrixMatMul" in ops  # otherwise the check above would find nothing
    assert edges in captured


def test_lightgode_scores_by_the_published_flow():
    train = matrix(0)
    model = LightGODE(UserItemGraph(train), t=1.8, dim=4, seed=3, initial_std=1.0)
    table = model.embeddings.numpy()
    expected = 2.8 * table + 1.8 * (normalised(train) @ table)
    np.testing.assert_allclose(np.concatenate(model.vectors()), expected, atol=1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("loss", ["bpr", "directau"])
def test_the_loss_of_a_batch(loss, l2):
    graph = UserItemGraph(matrix(0))
    user, item, negative = np.array([0, 1, 2, 1]), np.array([3, 0, 1, 3]), np.array([2, 2, 0, 4])
    for model in (
        MatrixFactorization(graph.users, graph.items, loss=loss, gamma=2.0, l2=l2, dim=4, initial_std=1.0),
        LightGCN(graph, layers=2, loss=loss, gamma=2.0, l2=l2, dim=4, initial_std=1.0),
    ):
        raw = model.embeddings.numpy()
        used = raw if isinstance(model, MatrixFactorization) else light_gcn_convolution(graph, raw, 2).numpy()
        rows = [user, graph.users + item, graph.users + negative][: 3 if loss == "bpr" else 2]
        vectors = [used[one] for one in rows]
        expected = (
            sampled_bpr_loss(*vectors) if loss == "bpr" else alignment_uniformity_loss(*vectors, gamma=2.0)
        )
        expected += l2 * 0.5 * sum((raw[one] ** 2).sum() for one in rows) / 4
        found = model.batch_loss(*(tf.constant(one, tf.int32) for one in (user, item, negative)))
        assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("convolves", [False, True])
def test_softmax_compares_a_pair_with_the_batch_s_first_items_that_its_user_has_not(convolves):
    train = matrix(0)
    graph = UserItemGraph(train)
    settings = {"loss": "softmax", "seen": SeenItems(train), "temperature": 0.3, "dim": 4, "initial_std": 1.0}
    settings |= {"candidates": 4, "l2": 0.3}
    model = (
        LightGCN(graph, layers=2, **settings)
        if convolves
        else MatrixFactorization(graph.users, graph.items, **settings)
    )
    raw = model.embeddings.numpy()
    used = light_gcn_convolution(graph, raw, 2).numpy() if convolves else raw
    user, item = np.array([0, 1, 2, 1, 4, 0]), np.array([3, 0, 3, 1, 5, 2])
    candidates = np.array([3, 0, 1])  # the distinct ones of the first four pairs
    seen = np.argwhere(train.toarray()[user][:, candidates])
    assert 0 < len(seen) < 18
    items = graph.users + np.array([*item, *candidates])
    expected = sampled_softmax_loss(used[user], used[items[:6]], used[items[6:]], seen, 0.3)
    expected += 0.3 * 0.5 * ((raw[user] ** 2).sum() + (raw[items[:6]] ** 2).sum()) / 6
    found = model.batch_loss(*(tf.constant(one, tf.int32) for one in (user, item, item)))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_softmax_ranks_by_cosine_and_by_how_often_an_item_was_a_candidate():
    train = matrix(0)
    seen, graph = SeenItems(train), UserItemGraph(train)
    settings = {"seen": seen, "temperature": 0.3, "candidates": 4, "dim": 4, "initial_std": 1.0}
    model = LightGCN(graph, layers=2, loss="softmax", **settings)
    table = light_gcn_convolution(graph, model.embeddings.numpy(), 2).numpy()
    cosines = table / np.linalg.norm(table, axis=1, keepdims=True)
    users, items = model.vectors()
    expected = cosines[: graph.users] @ cosines[graph.users :].T / 0.3 + seen.log_presence(4)
    np.testing.assert_allclose(users.numpy() @ items.numpy().T, expected, atol=1e-5)
    # An item of a history stands where a user of its direction does.
    alike = cosines[graph.users :] @ cosines[graph.users :].T / 0.3 + seen.log_presence(4)
    np.testing.assert_allclose(model.history_vectors().numpy() @ items.numpy().T, alike, atol=1e-5)


def test_by_other_losses_an_item_of_a_history_is_the_item():
    model = MatrixFactorization(3, 2, dim=4)
    np.testing.assert_array_equal(model.history_vectors(), model.vectors()[1])


def test_softmax_finds_the_probabilities_of_a_log_whose_items_are_not_equally_popular():
    """One taste, items of popularity 8 : 4 : 2 : 1. Cosines alone would rank by nothing; the score has to find the popularity."""
    rng = np.random.default_rng(0)
    share = np.array([8, 4, 2, 1]) / 15
    dense = (rng.random((400, 4)) < share).astype(np.float32)
    train = sp.csr_array(dense[dense.sum(1) > 0])
    graph = UserItemGraph(train)
    settings = FAST | {"loss": "softmax", "temperature": 0.5, "candidates": 2, "epochs": 6}
    model = compiled_recommender("mf", graph, RecommendSpec(top=[1], dim=8, mf=settings), seed=0)
    steps = steps_per_epoch(train, 64)
    model.fit(training_batches(train, 64, 0, 6), epochs=6, steps_per_epoch=steps, verbose=0)
    users, items = model.vectors()
    mean_score = (users.numpy() @ items.numpy().T).mean(axis=0)
    assert (np.diff(mean_score) < 0).all()


def test_lightgcn_s_gradient_goes_through_the_convolution():
    train = matrix(0)
    graph = UserItemGraph(train)
    model = LightGCN(graph, layers=1, dim=3, initial_std=1.0)
    batch = [tf.constant([0], tf.int32), tf.constant([0], tf.int32), tf.constant([1], tf.int32)]
    with tf.GradientTape() as tape:
        loss = model.batch_loss(*batch)
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.embeddings)).numpy()
    dense = (np.eye(graph.nodes) + normalised(train)) / 2
    free = normalised(train).sum(1) == 0
    dense[free] = np.eye(graph.nodes)[free]
    values = tf.Variable(dense @ model.embeddings.numpy(), dtype=tf.float64)
    with tf.GradientTape() as tape:
        u, i, j = values[0], values[graph.users], values[graph.users + 1]
        expected = tf.nn.softplus(tf.reduce_sum(u * (j - i)))
    expected = dense.T @ tape.gradient(expected, values).numpy()
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "spec"),
    [*((name, SPEC) for name in KINDS), ("mf", SOFTMAX), ("lightgcn", SOFTMAX), ("lightgode", SOFTMAX)],
)
def test_every_model_learns_two_tastes(name, spec):
    split = clusters()
    graph = UserItemGraph(split.train)
    model = compiled_recommender(name, graph, spec, seed=0)

    def recall():
        return evaluate_ranking(*model.vectors(), split.train, split.test, [10])["recall@10"]

    before = recall()
    steps = steps_per_epoch(split.train, 64)
    batches = training_batches(split.train, 64, 0, FAST["epochs"])
    model.fit(batches, epochs=FAST["epochs"], steps_per_epoch=steps, verbose=0)
    # 20 items of a user's taste, about 6 of them trained: 10 of the remaining 14 come first.
    assert recall() > max(0.6, before)


def test_the_first_embeddings_are_xavier_s_and_a_function_of_the_seed():
    make = functools.partial(MatrixFactorization, 4000, 1000, dim=32)
    first = make(seed=1).embeddings.numpy()
    np.testing.assert_array_equal(first, make(seed=1).embeddings)
    assert not np.array_equal(first, make(seed=2).embeddings)
    for rows in (first[:4000], first[4000:]):
        assert rows.std() == pytest.approx(np.sqrt(2 / (len(rows) + 32)), rel=0.03)
    assert make(initial_std=0.1).embeddings.numpy().std() == pytest.approx(0.1, rel=0.03)


def test_the_report_says_which_loss_trained_a_model():
    assert meaning_of("mf", SPEC) == "matrix factorisation by BPR, no convolution"
    assert meaning_of("lightgcn", SOFTMAX) == "sampled softmax, convolution in training and in ranking"
    assert meaning_of("lightgode", SPEC) == "alignment and uniformity, graph ODE after training"
    assert meaning_of("directau", SOFTMAX) == meaning_of("directau", SPEC)


@pytest.mark.parametrize("name", ["mf", "lightgcn"])
def test_the_cosine_schedule_ends_with_the_last_epoch(name):
    split = clusters()
    graph = UserItemGraph(split.train)
    schedule = compiled_recommender(name, graph, SOFTMAX, seed=0).optimizer._learning_rate
    steps = 15 * steps_per_epoch(split.train, 64)
    rates = [float(schedule(step)) for step in (0, steps // 2, steps)]
    half = 0.05 * (1 + np.cos(np.pi * (steps // 2) / steps)) / 2
    assert rates == pytest.approx([0.05, half, 0.0], abs=1e-6)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="Received: loss='hinge'"):
        MatrixFactorization(2, 2, loss="hinge")
    with pytest.raises(ValueError, match="needs `seen`"):
        MatrixFactorization(2, 2, loss="softmax")

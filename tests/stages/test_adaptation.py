import numpy as np
import pytest
import tensorflow as tf

from tests.toy_data import (
    serialize,
    toy_batch,
    toy_description,
    toy_items,
    toy_model,
    toy_records,
    toy_users,
)
from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.losses import fit_duration_quantiles
from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
from tf_e2egrec.stages.adaptation import adapt_model, collect_statistics, mean_durations
from tf_e2egrec.subgraphs.graph_schema import READOUT


def described(**changes):
    description = toy_description()
    return description.model_copy(update={"model": description.model.model_copy(update=changes)})


@pytest.fixture(scope="module")
def rows():
    """Records whose stays and durations are known: (records, columns)."""
    rng = np.random.default_rng(0)
    records, columns = [], {"stay": [], "duration": [], "item": [], "reward": []}
    for number, record in enumerate(toy_records(200)):
        readout = record.node_sets[READOUT].get_features_dict()
        duration = np.float32(np.nan if number % 7 == 0 else 5 + 90 * rng.random())
        stay = np.float32(np.nan if number % 5 == 0 else rng.random() * 60)
        readout |= {"content_duration": tf.constant([duration]), "stay": tf.constant([stay])}
        records.append(record.replace_features(node_sets={READOUT: readout}))
        values = (stay, duration, int(readout["item_id"][0]), float(readout["reward"][0]))
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return records, {name: np.array(values) for name, values in columns.items()}


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in serialize(rows[0]).numpy():
            writer.write(record)
    return [str(path)]


def statistics_of(files, **changes):
    return collect_statistics(described(**changes), files, toy_items(), toy_users())


def test_the_tables_of_d2q_are_those_of_the_training_rows(rows, files):
    statistics = statistics_of(files, stay_loss="d2q", duration_groups=2)
    columns = rows[1]
    expected = fit_duration_quantiles(columns["stay"], columns["duration"], 2)
    np.testing.assert_allclose(statistics.duration_quantiles.edges, expected.edges)
    np.testing.assert_allclose(statistics.duration_quantiles.seconds, expected.seconds)
    vocabulary = statistics.vocabularies["item"]["#id"]
    for key, value in zip(vocabulary, statistics.item_duration, strict=True):
        mine = columns["duration"][columns["item"] == key]
        mine = mine[np.isfinite(mine)]
        np.testing.assert_allclose(value, mine.mean() if len(mine) else np.nan, rtol=1e-5)
    model = toy_model("R0", stay_loss="d2q", duration_groups=2)
    adapt_model(model, statistics)
    np.testing.assert_allclose(model.stay_objective.quantile_seconds, expected.seconds)
    np.testing.assert_allclose(model.stay_objective.item_duration[1:], statistics.item_duration)
    assert np.isnan(model.stay_objective.item_duration[0])
    assert float(model.stay_tower.head.bias[0]) == 0.0


def test_other_losses_need_no_tables(files):
    statistics = statistics_of(files)
    assert statistics.duration_quantiles is None
    assert statistics.item_duration is None


@pytest.mark.parametrize("loss", ["huber_log1p", "d2q", "wlr"])
def test_the_stay_loss_starts_on_the_scale_of_the_reward_loss(loss, rows, files):
    statistics = statistics_of(files, stay_loss=loss)
    model = toy_model("R0", stay_loss=loss)
    adapt_model(model, statistics)
    columns = rows[1]
    start = tf.fill([200], model.stay_tower.head.bias[0])
    stay = model.stay_objective.loss(tf.constant(columns["stay"]), start, tf.constant(columns["duration"]))
    rate = columns["reward"].mean()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert float(model.stay_weight * stay) == pytest.approx(entropy, rel=0.35)
    assert float(model.reward_tower.head.bias[0]) == pytest.approx(np.log(rate / (1 - rate)), rel=1e-3)


def test_hashed_features_need_no_vocabulary(files):
    description = toy_description()
    hashed = FeatureSpec(name="device", type="categorical", hash_buckets=7)
    log = description.interactions[0]
    others = [feature for feature in log.context if feature.name != "device"]
    log = log.model_copy(update={"context": [*others, hashed]})
    description = description.model_copy(update={"interactions": [log]})
    statistics = collect_statistics(description, files, toy_items(), toy_users())
    sizes = statistics.vocabulary_sizes()
    assert "device" not in sizes["context"]
    assert "hour_of_day" in sizes["context"]
    vocabularies = statistics.vocabularies
    inputs = ModelInputs.from_description(
        description, len(vocabularies["item"]["#id"]), len(vocabularies["user"]["#id"]), sizes
    )
    model = E2EGRec(inputs, description.model, variant_named("R0"))
    adapt_model(model, statistics)
    assert model.context_embedding.embeddings["device"].input_dim == 8
    assert np.isfinite(model(toy_batch(toy_records(3))[0])["reward"]).all()


def test_mean_durations_ignore_strangers_and_gaps():
    mean = mean_durations(np.array([3, 5, 9]), np.array([5, 5, 4, 3, 9]), np.float32([10, 20, 99, np.nan, 7]))
    np.testing.assert_array_equal(mean, np.float32([np.nan, 15, 7]))

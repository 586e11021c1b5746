import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.toy_data import toy_description
from tf_e2egrec.comparison.compare import read_predictions
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.errors import E2EGRecError

RUNS = [PlannedRun("R0", 0, "swing", "R0"), PlannedRun("R5@training.epochs=2", 0, "swing", "R5")]
DAY = 86_400_000


@pytest.fixture
def directory(tmp_path):
    """Predictions of two models on the same four rows; one has no stay label."""
    found = CompareDirectory(tmp_path)
    for place, run in enumerate(RUNS):
        rows = {
            "reward": np.array([0, 1, 1, 0], "f4"),
            "stay": np.array([1, np.nan, 3, 4], "f4"),
            "predicted_reward": np.full(4, 0.1 * (place + 1), "f4"),
            "predicted_stay": np.full(4, 2.0 + place, "f4"),
            "user": np.array([1, 1, 2, 2]),
            "item": np.array([7, 8, 7, 9]),
            "time": np.array([0, 1, DAY, DAY + 1]),
        }
        path = found.predictions(run.model, run.seed)
        path.mkdir(parents=True)
        pq.write_table(pa.table(rows), path / "predictions.parquet")
    return found


def test_labels_once_and_predictions_of_each(directory):
    rows, predicted = read_predictions(directory, toy_description(), RUNS)
    assert rows.day.tolist() == ["1970-01-01"] * 2 + ["1970-01-02"] * 2
    assert rows.user.tolist() == [1, 1, 2, 2]
    assert {model: float(seeds[0].reward[0]) for model, seeds in predicted.items()} == pytest.approx(
        {"R0": 0.1, "R5": 0.2}
    )
    assert predicted["R5"][0].stay.tolist() == [3.0] * 4


@pytest.mark.parametrize("column", ["user", "item", "time", "reward", "stay"])
def test_models_that_met_other_rows_are_not_compared(directory, column):
    path = directory.predictions("R5@training.epochs=2", 0) / "predictions.parquet"
    table = pq.read_table(path)
    values = table[column].to_numpy().copy()
    values[3] += 1
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values)), path)
    with pytest.raises(
        E2EGRecError, match=rf"other test rows than the predictions of R0 seed 0 \(`{column}`"
    ):
        read_predictions(directory, toy_description(), RUNS)

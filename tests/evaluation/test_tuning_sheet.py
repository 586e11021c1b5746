from tf_e2egrec.evaluation.sheet import markdown_lines
from tf_e2egrec.evaluation.tuning_sheet import tuning_sheets

TRIED = [
    {"settings": {"training.learning_rate": 0.003, "model.layer_weights": [0.5, 0.5]}, "valid_auc": 0.51239},
    {"settings": {"training.learning_rate": 0.01, "model.layer_weights": [0.5, 0.5]}, "valid_auc": None},
]
TUNING = {
    "split": "valid",
    "seed": 0,
    "keys": ["training.learning_rate", "model.layer_weights"],
    "models": {"R0": {"chosen": TRIED[0]["settings"], "tried": TRIED}},
}
REPORT = {
    "context": {"dataset": "toy", "regime": "equal", "protocol": "rolling"},
    "models": {"R0": {"seeds": [0]}},
}


def test_every_try_is_a_row_and_the_choice_is_marked():
    (sheet,) = tuning_sheets(REPORT | {"tuning": TUNING})
    assert markdown_lines(sheet) == [
        "",
        "## toy, regime equal, rolling, 1 seed: tuning (validation only), seed 0",
        "",
        "| model | training.learning_rate | model.layer_weights | validation AUC |  |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| R0 | 0.003 | [0.5, 0.5] | 0.5124 | chosen |",
        "| R0 | 0.01 | [0.5, 0.5] | - |  |",
    ]


def test_reports_without_tuning_have_no_such_table():
    assert tuning_sheets(REPORT) == tuning_sheets(REPORT | {"tuning": {}}) == []

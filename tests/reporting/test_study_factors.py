"""What the page says of the factors of fine-tuning: a measured line each, or why there is none."""

import copy
import json
from pathlib import Path
from typing import Any

from tests.reporting.conftest import Plan, make_run, noise_picture

from saccade.reporting.collect import collect
from saccade.reporting.page import render
from saccade.reporting.study_factors import TITLES, lines


def estimate(value: float, low: float, high: float, n: int = 200) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "method": "wilson"}


def compared(*apart: float, p: float, better: bool) -> dict[str, Any]:
    return {
        "difference": estimate(*apart),
        "p_corrected": p,
        "num_compared": 6,
        "better": better,
        "worse": False,
    }


FOUND: dict[str, Any] = {
    "measured": {
        "similarity": {
            "metric": "accuracy",
            "n": 200,
            "scratch": "cnn",
            "scratch_score": estimate(0.635, 0.566, 0.699),
            "frozen_score": estimate(0.86, 0.805, 0.901),
            "comparison": compared(0.225, 0.158, 0.296, p=0.0001, better=True),
        },
        "amount": {
            "score_name": "accuracy",
            "num_train": 680,
            "now": estimate(0.87, 0.847, 0.894, 800),
            "more": 200,
            "gain": estimate(0.004, 0.001, 0.007, 800),
        },
        "complexity": {
            "name": "mobilenetv2_100",
            "num_parameters": 2_230_277,
            "num_bytes": 8_921_108,
            "images_per_second": 71.4,
            "raced": [
                {
                    "name": name,
                    "score": score,
                    "low": score - 0.03,
                    "high": score + 0.03,
                    "n": 500,
                    "score_name": "accuracy",
                    "images_per_second": speed,
                    "num_parameters": num,
                    "chosen": name == "mobilenetv2_100",
                }
                for name, score, speed, num in (
                    ("mobilenetv2_100", 0.87, 71.4, 2_230_277),
                    ("resnet50", 0.88, 11.2, 23_518_277),
                )
            ],
            "num_sample": 500,
        },
        "overfitting": {
            "score_name": "accuracy",
            "train": estimate(1.0, 0.994, 1.0, 680),
            "part": "test",
            "judged": estimate(0.867, 0.794, 0.916, 120),
            "gap": estimate(0.133, 0.083, 0.206, 800),
            "stages": [
                {"name": "last stage", "kept": True, "train_loss": 0.11,
                 "validation_loss": 0.32, "num_validation": 120},
                {"name": "all", "kept": False, "train_loss": 0.02,
                 "validation_loss": 0.41, "num_validation": 120},
            ],
        },
        "tuning": {
            "penalties": 9,
            "penalty": 0.1,
            "penalty_losses": [0.339, 1.407],
            "rungs": 2,
            "rungs_kept": 1,
            "networks": 2,
            "epochs": 12,
            "rates": [1e-5, 1e-3],
            "opt": "adamw",
            "num_train": 680,
            "num_validation": 120,
        },
        "domain": {
            "rungs": [
                {"name": "last stage", "gain": 0.087, "gain_low": 0.05, "gain_high": 0.12,
                 "p": 0.002, "taken": True, "num_validation": 120},
                {"name": "all", "gain": -0.01, "gain_low": -0.05, "gain_high": 0.03,
                 "p": 0.6, "taken": False, "num_validation": 120},
            ],
            "metric": "accuracy",
            "comparison": compared(0.055, -0.01, 0.1, p=0.09, better=False),
        },
    },
    "left_out": {},
}  # fmt: skip


def texts(study: dict[str, Any]) -> dict[str, str]:
    return {line["title"]: line["text"] for line in lines(study)}


def test_each_factor_has_its_measured_line_with_n() -> None:
    assert texts(FOUND) == {
        "Task similarity": "What the network knew before carries over: a head on the frozen "
        "features has 0.860 [0.805, 0.901] where a small CNN from scratch has 0.635 [0.566, 0.699] "
        "(accuracy, n = 200 test pictures); +0.225 [+0.158, +0.296], p < 0.001 corrected.",
        "Amount of data": "At 680 training pictures the learning curve stands at 0.870 [0.847, "
        "0.894] and promises +0.004 [+0.001, +0.007] of accuracy for 200 more (n = 800 judged).",
        "Model complexity": "mobilenetv2_100 has 2.23 M parameters (8.92 MB in fp32) and answers "
        "71.4 pictures a second on this machine. In the race, by accuracy on 500 training pictures "
        "out of fold: mobilenetv2_100 0.870 [0.840, 0.900] (chosen, 2.23 M parameters, 71.4 "
        "pictures a second) and resnet50 0.880 [0.850, 0.910] (23.5 M parameters, 11.2 pictures a "
        "second).",
        "Overfitting": "Accuracy is 1.000 [0.994, 1.000] on the training part and 0.867 [0.794, "
        "0.916] on the test part (n = 680 and 120), a gap of +0.133 [+0.083, +0.206]. Loss, "
        "training → validation: last stage 0.110 → 0.320 and all 0.020 → 0.410 (undone).",
        "Hyper-parameters": "Tried: 9 penalties of the head (0.1 was taken, cross-validated loss "
        "0.339 to 1.407), 2 rungs of the ladder (1 kept), 2 networks and 12 epochs of adamw, rates "
        "from 0.001 down to 1e-05; chosen on 680 training pictures by cross-validation and 120 "
        "validation pictures, never by the test part.",
        "Domain-specific features": "The ladder kept 'last stage' (gain +0.087 [+0.050, "
        "+0.120], one-sided p = 0.002, n = 120 validation pictures). It undid 'all' (gain −0.010 "
        "[−0.050, +0.030], one-sided p = 0.600, n = 120 validation pictures). A gain is "
        "how much smaller the loss became, each bound of it 90 % sure. On the test part the "
        "network that ships has +0.055 [−0.010, +0.100] accuracy beside its frozen features "
        "(p = 0.090 corrected, n = 200), which is not shown to be a change.",
    }


def test_what_was_not_measured_is_said_not_to_be_with_the_reason() -> None:
    study = {"measured": {}, "left_out": {"amount": "the learning curve was left out"}}
    found = lines(study)
    assert [line["title"] for line in found] == list(TITLES.values())
    assert not any(line["measured"] for line in found)
    assert texts(study)["Amount of data"] == "Not measured: the learning curve was left out."
    assert texts(study)["Overfitting"] == "Not measured: not recorded."


def test_a_gap_that_may_be_chance_is_said_to_be_no_more() -> None:
    study = copy.deepcopy(FOUND)
    study["measured"]["overfitting"]["gap"] = estimate(0.01, -0.03, 0.06)
    study["measured"]["overfitting"]["stages"] = []
    assert texts(study)["Overfitting"].endswith(
        "a gap of +0.010 [−0.030, +0.060]; that it is more than chance is not shown."
    )


def test_more_pictures_are_promised_to_help_only_where_that_is_shown() -> None:
    study = copy.deepcopy(FOUND)
    amount = study["measured"]["amount"]
    amount["gain"] = estimate(-0.01, -0.03, 0.01, 800)
    assert texts(study)["Amount of data"] == (
        "At 680 training pictures the learning curve stands at 0.870 [0.847, 0.894] and does not "
        "show that 200 more would help: −0.010 [−0.030, +0.010] of accuracy (n = 800 judged)."
    )
    amount["gain"] = estimate(0.004, 0.0, 0.01, 800)
    assert "does not show that 200 more would help" in texts(study)["Amount of data"]


def test_an_error_of_the_race_is_named_and_has_its_bounds_the_right_way_round() -> None:
    study = copy.deepcopy(FOUND)
    for one in study["measured"]["complexity"]["raced"]:
        one |= {"score": -0.042, "low": -0.05, "high": -0.031, "score_name": "negative_rmse"}
    text = texts(study)["Model complexity"]
    assert "by RMSE on 500 training pictures out of fold: mobilenetv2_100 0.042 [0.031, 0.050]" in (
        text
    )


def test_a_rung_that_could_not_be_compared_has_no_gain() -> None:
    study = copy.deepcopy(FOUND)
    for rung in study["measured"]["domain"]["rungs"]:
        rung |= {"gain": None, "gain_low": None, "gain_high": None}
    text = texts(study)["Domain-specific features"]
    assert text.startswith("The ladder kept 'last stage' (n = 120 validation pictures).")
    assert "A gain is" not in text


def test_a_run_of_an_earlier_version_speaks_of_its_validation_part() -> None:
    study = copy.deepcopy(FOUND)
    own = study["measured"]["overfitting"]
    own["validation"] = own.pop("judged")
    del own["part"]
    assert "on the validation part (n = 680 and 120)" in texts(study)["Overfitting"]


def test_what_the_network_knew_may_not_be_shown_to_carry_over() -> None:
    study = copy.deepcopy(FOUND)
    study["measured"]["similarity"]["comparison"]["better"] = False
    assert texts(study)["Task similarity"].startswith(
        "That what the network knew before carries over is not shown: a head on the frozen"
    )


def test_the_page_shows_a_list_of_definitions_and_hostile_names_are_only_text(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", Plan())
    study = copy.deepcopy(FOUND)
    study["measured"]["complexity"]["name"] = "<script>alert(1)</script>"
    trust = {"format_version": 1, "studies": {"factors": study}, "left_out": {}}
    (run / "trust.json").write_text(json.dumps(trust))
    html = render(collect(run, picture=noise_picture))
    at = html.index("The factors of fine-tuning")
    assert html.index('id="help"') < at < html.index('id="made"')
    assert html[at : html.index("</dl>", at)].count("<dt>") == 6
    assert "<script" not in html


def test_a_judging_part_that_is_easier_is_no_chance() -> None:
    study = copy.deepcopy(FOUND)
    study["measured"]["overfitting"]["gap"] = estimate(-0.1, -0.14, -0.06)
    study["measured"]["overfitting"]["stages"] = []
    assert texts(study)["Overfitting"].endswith(
        "[−0.140, −0.060]: the test part is the easier one, so the two differ in more than chance."
    )


def test_what_chose_nothing_is_not_said_to_have_chosen() -> None:
    """From scratch there is no penalty to cross-validate, and there may be no validation part."""
    study = copy.deepcopy(FOUND)
    study["measured"]["tuning"] |= {
        "penalties": 0, "rungs": 0, "networks": 0, "num_validation": 0, "rates": [1e-3, 1e-3],
    }  # fmt: skip
    assert texts(study)["Hyper-parameters"] == "Tried: 12 epochs of adamw, rate 0.001."

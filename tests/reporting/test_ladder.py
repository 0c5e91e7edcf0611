import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from tests.reporting import ladders

from saccade.evaluation.intervals import TAIL
from saccade.reporting.ladder import ladder_rows, ladder_words, stages_sentence
from saccade.reporting.learned import LearningFacts
from saccade.reporting.learning import learning_of
from saccade.training.fit import OUT_OF_TIME

RunOf = Callable[..., Path]


def of(verdicts: str, **fields: Any) -> LearningFacts:
    return learning_of(ladders.ladder(verdicts, **fields))


def sentence(learning: LearningFacts, *, learned: int = 0, scratch: bool = False) -> str:
    return stages_sentence(learning, num_stages=9, num_learned=learned, scratch=scratch)


def test_a_run_without_rungs_has_no_ladder() -> None:
    assert ladder_rows(learning_of([ladders.head()]), 9) == ()


def test_the_head_is_the_first_row_and_each_rung_one_more() -> None:
    rows = ladder_rows(of("+-"), 9)
    assert [(r.name, r.kept, r.stages) for r in rows] == [
        ("head", True, "0 of 9"),
        ("last stage", True, "1 of 9"),
        ("last 2 stages", False, "2 of 9"),
    ]
    assert [r.verdict for r in rows] == ["where the ladder begins", "kept", "undone: no better"]


@pytest.mark.parametrize(
    ("fields", "views"),
    [
        ({"views": 2}, "2, kept"),
        ({"views": 1, "crop": None}, "1, kept"),
        ({"views": 1, "crop": 10}, "1, in crops"),
        ({"views": 2, "cached": False}, "anew"),
    ],
)
def test_what_a_rung_was_shown_stands_beside_it(fields: dict[str, object], views: str) -> None:
    (_, row) = ladder_rows(of("+", **fields), 9)
    assert row.views == views


def test_an_accuracy_has_its_wilson_interval() -> None:
    (_, row) = ladder_rows(of("+", validation_score=0.9, num_validation=120), 9)
    assert row.score is not None
    low = binomtest(108, 120).proportion_ci(method="wilson").low  # scipy
    high = binomtest(108, 120).proportion_ci(1 - 2 * TAIL, method="exact").high  # ends later
    assert (row.score.low, row.score.high) == pytest.approx((low, high))


def test_an_error_is_shown_with_the_ends_of_its_interval_the_right_way_round() -> None:
    told = {"score_name": "negative_rmse", "validation_score": -3.4}
    (_, row) = ladder_rows(of("+", validation_low=-4.1, validation_high=-2.9, **told), 9)
    assert row.score is not None
    assert (row.score.value, row.score.low, row.score.high) == (3.4, 2.9, 4.1)


def test_a_score_without_a_recorded_interval_has_none() -> None:
    (_, row) = ladder_rows(of("+", score_name="negative_rmse", validation_score=-3.4), 9)
    assert row.score is not None
    assert row.score.value == 3.4
    assert math.isnan(row.score.low)


def test_a_score_that_was_not_recorded_is_left_out() -> None:
    rows = ladder_rows(of("-", validation_score=None), None)
    assert [row.score for row in rows] == [None, None]
    assert [row.stages for row in rows] == ["0", "1"]


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"gain": 0.02, "gain_low": -0.01, "gain_high": 0.05}, "undone: better, but not surely"),
        ({"gain": -0.02, "gain_low": -0.05, "gain_high": 0.01}, "undone: no better"),
        ({"gain": -0.09, "gain_low": -0.1, "gain_high": -0.08}, "undone: it did harm"),
        ({"gain": 0.02, "gain_low": None, "gain_high": None}, "undone: it could not be judged"),
        ({"why": OUT_OF_TIME}, "undone: its time was up"),
    ],
)
def test_the_verdict_says_why_a_rung_was_undone(fields: dict[str, Any], verdict: str) -> None:
    events = [ladders.head(), ladders.rung(1, taken=False, **fields)]
    assert ladder_rows(learning_of(events), 9)[-1].verdict == verdict


def test_a_rung_that_stopped_early_says_how_many_epochs_it_had() -> None:
    events = [*ladders.epochs(0, 2), ladders.rung(1, taken=False)]
    assert [row.epochs for row in ladder_rows(learning_of(events), 9)] == ["2 of 6"]


def test_what_could_not_be_compared_shows_no_number() -> None:
    events = [ladders.rung(1, taken=False, gain=None, gain_low=None, gain_high=None, p=1.0)]
    (row,) = ladder_rows(learning_of(events), 9)
    assert (row.gain, row.bounds, row.p) == ("–", "", "–")


def test_the_words_say_what_each_rung_brought_and_cost_and_who_judges_in_the_end() -> None:
    first, second, third = ladder_words(of("+-", validation_score=0.9), has_test=True)
    assert "the same 120 validation pictures" in first
    assert second == (
        "Kept: last stage (gain +0.0710, accuracy 0.900, 4.0 s). "
        "Undone: last 2 stages (gain −0.0200, 8.8 s)."
    )
    assert third.endswith("How good the network is in the end, the test part alone says.")
    assert "bf16" not in third
    events = [{**ladders.head(), "engine": "torch bf16"}, *ladders.ladder("+-")[1:]]
    assert "answered in bf16" in ladder_words(learning_of(events), has_test=True)[-1]
    assert "no test part" in ladder_words(of("-"), has_test=False)[-1]
    assert "The network is that of the solved head." in ladder_words(of("-"), has_test=True)[1]


@pytest.mark.parametrize(
    ("verdicts", "learned", "expected"),
    [
        (
            "--",
            0,
            "Only the head learned; the 9 stages before it are as given: the freezing ladder "
            "tried last stage and last 2 stages, without a gain that is 90 % sure.",
        ),
        (
            "++-",
            2,
            "The head and the last 2 of 9 stages learned: on the freezing ladder the rungs last "
            "stage and last 2 stages brought a gain, 90 % sure on the validation part, last 4 "
            "stages did not.",
        ),
        (
            "+",
            1,
            "The head and the last of 9 stages learned: on the freezing ladder the rung last "
            "stage brought a gain, 90 % sure on the validation part.",
        ),
    ],
)
def test_a_sentence_says_which_stages_learned(verdicts: str, learned: int, expected: str) -> None:
    assert sentence(of(verdicts), learned=learned) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [ladders.rung(1, taken=False), ladders.rung(2, taken=False, why=OUT_OF_TIME)],
            "the freezing ladder tried last stage, without a gain that is 90 % sure; last 2 "
            "stages was not finished (its time was up).",
        ),
        (
            [ladders.rung(1, taken=False, why=OUT_OF_TIME)],
            "on the freezing ladder last stage was not finished (its time was up).",
        ),
        (
            [ladders.rung(1, taken=True), ladders.rung(2, taken=False, why=OUT_OF_TIME)],
            "on the freezing ladder the rung last stage brought a gain, 90 % sure on the "
            "validation part; last 2 stages was not finished (its time was up).",
        ),
        (
            [ladders.rung(1, taken=False, gain=0.02, gain_low=None, gain_high=None)],
            "on the freezing ladder last stage could not be judged.",
        ),
    ],
)
def test_a_rung_that_ended_early_is_not_said_to_have_brought_nothing(
    events: list[dict[str, Any]], expected: str
) -> None:
    told = sentence(learning_of([ladders.head(), *events]), learned=int(events[0]["taken"]))
    assert told.partition(": ")[2] == expected


def test_without_a_ladder_the_sentence_says_what_was_asked_for() -> None:
    plain = ladders.epochs(0, 2, rung=None)
    assert sentence(learning_of(plain), learned=9) == "The head and all 9 stages learned, as asked."
    assert sentence(learning_of(plain), learned=9, scratch=True) == (
        "All 9 stages and the head learned, from random weights."
    )
    worse = [ladders.head(), *ladders.epochs(0, 2, rung=None, best=False)]
    assert sentence(learning_of(worse), learned=2) == (
        "The head and the last 2 of 9 stages learned as asked, but no epoch was better than the "
        "solved head, which was kept."
    )
    nothing = stages_sentence(LearningFacts(), num_stages=None, num_learned=None, scratch=False)
    assert nothing == ""


def test_the_epochs_behind_the_model_are_those_of_the_last_rung_that_was_kept() -> None:
    assert {epoch.rung for epoch in of("+-+-").kept_epochs} == {2}
    assert of("--").kept_epochs == ()
    plain = learning_of(ladders.epochs(0, 3, rung=None))
    assert plain.kept_epochs == plain.epochs


def test_time_goes_on_where_the_clock_of_a_resumed_run_begins_anew() -> None:
    events = [
        ladders.head(at_seconds=10.0),
        ladders.rung(1, taken=True, at_seconds=40.0),
        ladders.rung(2, taken=True, at_seconds=25.0, seconds=20.0),  # 25 s after it was resumed
        ladders.rung(4, taken=True, at_seconds=60.0),
    ]
    learning = learning_of(events)
    assert [rung.at_seconds for rung in learning.rungs] == [40.0, 60.0, 95.0]


def test_gradient_norms_are_of_the_rung_whose_epoch_they_follow() -> None:
    assert [norms.rung for norms in of("+-").gradients] == [0] * 6 + [1] * 6

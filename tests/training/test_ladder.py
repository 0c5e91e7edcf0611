"""The ladder: a rung that helps is taken, any other leaves no trace."""

import math
import re

import numpy as np
import pytest
import torch
from tests.training.climbs import (
    CLIMB,
    QUICK,
    TAKEN,
    Climbed,
    Lessons,
    different,
)

from saccade.evaluation.comparison import PairedGain, paired_gain
from saccade.evaluation.intervals import wilson
from saccade.models.inference import predict_logits
from saccade.runtime.errors import UsageError
from saccade.training import fit as fit_module
from saccade.training import ladder, plan
from saccade.training.activations import ViewsOfPictures
from saccade.training.inputs import FrozenAnswers
from saccade.training.objective import Judgement, picture_losses
from saccade.training.recipe_file import make_recipe


def always(patch: pytest.MonkeyPatch, verdicts: list[bool]) -> None:
    """Let the comparison say these, one after the other."""
    said = iter(verdicts)

    def decided(first: np.ndarray, _second: np.ndarray, **_: object) -> PairedGain:
        value = 1.0 if next(said) else -1.0
        return PairedGain(value=value, low=value, high=value, p=0.5 - value / 2, n=len(first))

    patch.setattr(ladder, "paired_gain", decided)


def test_each_rung_is_taken_or_not_and_the_depth_is_that_of_the_last_one_taken(
    climbed: Climbed,
) -> None:
    assert [rung["taken"] for rung in climbed.rungs] == TAKEN
    assert [rung["name"] for rung in climbed.rungs] == ["last stage", "last 2 stages", "all"]
    assert climbed.learned.num_stages == 2
    assert not climbed.learned.interrupted


def test_a_rung_is_noted_with_all_that_was_measured(climbed: Climbed) -> None:
    first, second, _ = climbed.rungs
    assert set(second) == {
        "event", "stages", "name", "epochs", "views", "crop", "cached", "validation_score",
        "validation_low", "validation_high", "validation_loss", "score_name", "num_validation",
        "gain", "gain_low", "gain_high", "p", "taken", "why", "seconds", "at_seconds",
    }  # fmt: skip
    assert (second["stages"], second["epochs"], second["views"]) == (2, 2, 4)
    assert second["score_name"] == "accuracy"
    assert second["num_validation"] == 54  # 0.3 of six times 30
    right = wilson(round(second["validation_score"] * 54), 54)
    assert (second["validation_low"], second["validation_high"]) == (right.low, right.high)
    assert second["gain_low"] < second["gain"] < second["gain_high"]
    assert (first["gain_low"] > 0, second["gain_low"] > 0) == (False, True)
    assert (first["p"] < 0.1, second["p"] < 0.1) == (False, True)
    assert [rung["cached"] for rung in climbed.rungs] == [True, True, False]
    assert [rung["why"] for rung in climbed.rungs] == ["", "", ""]


def test_what_is_told_of_a_rung_names_the_numbers(climbed: Climbed) -> None:
    rung = climbed.rungs[1]
    assert (
        f"rung last 2 stages: accuracy {rung['validation_score']:.3f}, loss of the same pictures "
        f"{-rung['gain']:+.3f} (p = {rung['p']:.2g}, n = 54): taken"
    ) in climbed.told
    assert any(line.endswith("n = 54): undone (no sure gain)") for line in climbed.told)


def test_the_gain_that_is_noted_can_be_found_again_from_the_networks(
    lessons: Lessons, head_only: Climbed
) -> None:
    """The rung's whole network, asked picture by picture, is the second source."""
    after = lessons.climb(CLIMB.replace(rungs=("2:2:4",)))
    rows = lessons.material.validation_rows
    task, truth = lessons.lesson.task, lessons.material.targets[rows]
    losses = [
        picture_losses(predict_logits(own.network, lessons.lesson.cache, rows), truth, task=task)
        for own in (head_only, after)
    ]
    expected = paired_gain(*losses)
    (rung,) = after.rungs
    assert rung["gain"] == pytest.approx(expected.value, abs=1e-4)
    assert rung["p"] == pytest.approx(expected.p, abs=1e-4)


def test_a_rung_that_does_not_help_is_undone_to_the_last_bit(
    lessons: Lessons, head_only: Climbed
) -> None:
    undone = lessons.climb(CLIMB.replace(rungs=("1:2:4",)))
    assert [rung["taken"] for rung in undone.rungs] == [False]
    assert different(undone.weights, head_only.weights) == []
    assert undone.learned.num_stages == 0


def test_a_rung_that_is_taken_all_the_same_is_seen_in_the_weights_negative_control(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PairedGain, "helps", property(lambda _self: True))
    taken = lessons.climb(CLIMB.replace(rungs=("1:2:4",), tolerance=-1e9))
    changed = different(taken.weights, head_only.weights)
    assert changed
    assert all(name.startswith(("body.stages.2.", "body.classifier.")) for name in changed)


def test_after_an_undone_rung_the_climb_goes_on_as_if_it_had_not_been_tried(
    lessons: Lessons, climbed: Climbed
) -> None:
    without = lessons.climb(CLIMB.replace(rungs=("2:2:4",)))
    assert different(without.weights, climbed.weights) == []


@pytest.mark.parametrize("statistics", ["auto", "moving"])
def test_statistics_move_only_where_stages_learn_and_only_if_asked(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch, statistics: str
) -> None:
    always(monkeypatch, [True])
    found = lessons.climb(CLIMB.replace(rungs=("2:1:1",), statistics=statistics))
    changed = different(found.weights, head_only.weights)
    assert "body.stages.1.conv1.weight" in changed
    assert not [name for name in changed if name.startswith("body.stages.0.")]
    assert any("running_mean" in name for name in changed) == (statistics == "moving")


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        (1.0, r"validation loss [0-9.e+]+: it forgot what it knew"),
        (
            1e30,
            r"Numbers stopped being finite, first in the output of layer 'body\.stages.*', twice",
        ),
    ],
)
def test_a_rung_that_diverges_costs_an_epoch_at_most_and_is_undone(
    lessons: Lessons, head_only: Climbed, rate: float, why: str
) -> None:
    wild = lessons.climb(CLIMB.replace(rungs=("1:50:1", "3:50:1"), lr=rate, body_lr=rate))
    assert [rung["taken"] for rung in wild.rungs] == [False, False]
    assert all(re.fullmatch(why, rung["why"]) for rung in wild.rungs)
    assert num_epochs(wild) <= 2
    assert different(wild.weights, head_only.weights) == []


def num_epochs(climbed: Climbed) -> int:
    return sum(event["event"] == "epoch" for event in climbed.events)


def test_without_the_guard_it_would_cost_all_epochs_negative_control(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "loss_of_knowing_nothing", lambda _task: math.inf)
    monkeypatch.setattr(ladder, "HARM", math.inf)
    assert num_epochs(lessons.climb(CLIMB.replace(rungs=("1:3:1",), lr=1.0, body_lr=1.0))) == 3


def test_a_validation_loss_that_is_no_number_ends_a_rung_at_once(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Judgement(loss=math.nan, score=0.1, name="accuracy")
    monkeypatch.setattr(fit_module._Loop, "_judge", lambda _self: nothing)
    found = lessons.climb(CLIMB.replace(rungs=("1:6:1",)))
    assert num_epochs(found) == 1
    assert [rung["why"] for rung in found.rungs] == ["validation loss nan: it forgot what it knew"]
    assert different(found.weights, head_only.weights) == []


def test_rungs_that_were_named_are_all_tried(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [False, False, True, False]
    always(monkeypatch, verdicts)
    rungs = ("1:1:1", "2:1:1", "3:1:1", "3:1:1")
    found = lessons.climb(QUICK.replace(rungs=rungs))
    assert [rung["taken"] for rung in found.rungs] == verdicts


def test_a_rung_of_fewer_stages_than_have_learned_is_left_out_by_name(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is frozen for it is not any more what it was; where two stages failed, it still is."""
    always(monkeypatch, [True, True])
    found = lessons.climb(QUICK.replace(rungs=("2:1:1", "1:1:1")))
    assert [rung["stages"] for rung in found.rungs] == [2]
    assert "The rung last stage is left out: more stages than that have learned already." in (
        found.told
    )
    always(monkeypatch, [False, True])
    found = lessons.climb(QUICK.replace(rungs=("2:1:1", "1:1:1")))
    assert [(rung["stages"], rung["taken"]) for rung in found.rungs] == [(2, False), (1, True)]


def gains(patch: pytest.MonkeyPatch, *said: tuple[float, float]) -> None:
    """Let the comparison say these (value, half the width of its interval), one after the other."""
    left = iter(said)

    def decided(first: np.ndarray, _second: np.ndarray, **_: object) -> PairedGain:
        value, half = next(left)
        return PairedGain(value=value, low=value - half, high=value + half, p=0.5, n=len(first))

    patch.setattr(ladder, "paired_gain", decided)


EVER = (1.0, 0.1)  # a sure gain
NEVER = (-1.0, 0.1)
UNSURE = (0.0, 1.0)


@pytest.mark.parametrize(
    ("said", "tried"),
    [
        ((EVER, EVER, EVER), 3),
        ((EVER, UNSURE, EVER), 2),  # it failed after one was taken
        ((UNSURE, UNSURE, EVER), 2),  # the second in a row
        ((UNSURE, EVER, EVER), 3),
        ((NEVER, EVER, EVER), 3),
        (((1e-3, 1e-4), EVER, EVER), 1),  # sure, and too little for what the next one costs
    ],
)
def test_the_climb_goes_on_for_as_long_as_there_is_something_to_hope_for(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, said, tried: int
) -> None:
    gains(monkeypatch, *said)
    found = lessons.climb(QUICK)
    assert len(found.rungs) == tried


def test_a_rung_that_is_not_worth_its_work_is_left_out_by_name(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains(monkeypatch, (1e-3, 1e-4))
    found = lessons.climb(QUICK)
    assert re.fullmatch(
        r"The rung last 2 stages is left out: after what the one before it brought, it may be "
        r"hoped to lower the loss by 0\.[0-9]%, and would compute [0-9.]+ times what was computed "
        r"so far\.",
        found.told[-1],
    )
    assert {"event": "note", "sentence": found.told[-1]} in found.timeless


@pytest.mark.parametrize(("said", "tried"), [(NEVER, [2]), ((0.1, 1.0), [2, 1])])
def test_where_two_stages_come_first_the_last_alone_is_tried_only_if_they_did_no_harm(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, said: tuple[float, float], tried: list[int]
) -> None:
    monkeypatch.setattr(plan, "LONG", 3)
    gains(monkeypatch, said, UNSURE)
    found = lessons.climb(QUICK)
    assert [rung["stages"] for rung in found.rungs] == tried


def losses_at_half_time(patch: pytest.MonkeyPatch, raised: float) -> None:
    """Let the losses of validation pictures be 1 before a rung, and from then on this much more."""
    said = iter([np.full(54, 1.0)])
    patch.setattr(ladder, "picture_losses", lambda *_, **__: next(said, np.full(54, 1.0 + raised)))


@pytest.mark.parametrize(("raised", "much"), [(0.3, "by 30%"), (50.0, "1 to 51")])
def test_a_rung_that_has_raised_the_loss_by_a_quarter_at_half_time_is_not_trained_any_further(
    lessons: Lessons,
    head_only: Climbed,
    monkeypatch: pytest.MonkeyPatch,
    raised: float,
    much: str,
) -> None:
    losses_at_half_time(monkeypatch, raised)
    found = lessons.climb(QUICK.replace(rungs=("2:6:1",)))
    (rung,) = found.rungs
    assert rung["why"] == f"at half time it had raised the loss {much}"
    assert num_epochs(found) == 3
    assert not rung["taken"]
    assert different(found.weights, head_only.weights) == []


@pytest.mark.parametrize(("rung", "raised"), [("2:6:1", 0.2), ("2:2:1", 0.3)])
def test_a_little_harm_or_too_few_epochs_to_say_so_end_no_rung_negative_control(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, rung: str, raised: float
) -> None:
    losses_at_half_time(monkeypatch, raised)
    found = lessons.climb(QUICK.replace(rungs=(rung,)))
    assert [own["why"] for own in found.rungs] == [""]
    assert num_epochs(found) == int(rung.split(":")[1])


def test_a_quarter_of_what_was_brought_is_hoped_for() -> None:
    gain = PairedGain(value=0.04, low=0.02, high=0.06, p=0.01, n=10)
    assert ladder._hope(gain, np.full(10, 0.4)) == pytest.approx(0.025)


def test_a_gain_too_small_to_matter_is_not_worth_a_rung(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nearly every answer is right losses are tiny, and so are gains however sure."""
    tiny = PairedGain(value=1e-5, low=0.9e-5, high=1.1e-5, p=1e-9, n=54)
    monkeypatch.setattr(ladder, "paired_gain", lambda *_, **__: tiny)
    found = lessons.climb(QUICK.replace(rungs=("2:1:1",)))
    assert [rung["taken"] for rung in found.rungs] == [False]
    assert different(found.weights, head_only.weights) == []


def test_with_too_few_validation_pictures_only_the_head_is_trained_and_that_is_told(
    lessons: Lessons, head_only: Climbed
) -> None:
    few = lessons.climb(num_validation=7)
    assert few.rungs == []
    assert different(few.weights, head_only.weights) == []
    assert few.told[-1] == (
        "The validation part has 7 pictures, too few to judge a rung by; only the head is "
        "trained. Choose --unfreeze K to train more."
    )
    assert lessons.climb(QUICK.replace(rungs=("1:1:1",)), num_validation=8).rungs


def test_where_the_head_leaves_no_doubt_no_rung_is_tried_and_that_is_told(
    lessons: Lessons, head_only: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "picture_losses", lambda *_, **__: np.full(54, 1e-5))
    sure = lessons.climb()
    assert sure.rungs == []
    assert different(sure.weights, head_only.weights) == []
    assert sure.told[-1] == (
        "The head leaves the 54 validation pictures no loss that a rung could lower; only the head "
        "is trained. Choose --unfreeze K to train more."
    )
    monkeypatch.setattr(ladder, "picture_losses", lambda *_, **__: np.full(54, 1e-3))
    assert lessons.climb(QUICK).rungs


def test_rungs_that_climb_down_again_are_refused() -> None:
    """A deeper rung changes what the frozen part of a shallower one says, unless it failed."""
    assert make_recipe({"rungs": ["2:6:4", "1:6:4"]}, where="").rungs == ("2:6:4", "1:6:4")
    with pytest.raises(UsageError) as caught:
        make_recipe({"rungs": ["2:6:4", "4:6:4", "1:6:4"]}, where="recipe.toml")
    assert str(caught.value) == (
        "--rungs must be from few stages to many, but for the first; it is ['2:6:4', '4:6:4', "
        "'1:6:4'].\n"
        "  where: recipe.toml\n"
        "  fix:   The ladder's rungs, stages:epochs:views each, or none; empty = planned, and then "
        "written here."
    )


def test_a_rung_of_more_stages_than_there_are_means_all_of_them(
    lessons: Lessons, climbed: Climbed
) -> None:
    found = lessons.climb(CLIMB.replace(rungs=("2:2:4", "9:2:4")))
    assert [rung["name"] for rung in found.rungs] == ["last 2 stages", "all"]
    assert different(found.weights, climbed.weights) == []


@pytest.mark.usefixtures("narrow_crops")
def test_a_rung_learns_from_crops_at_last_from_whole_maps_and_is_judged_by_whole_ones(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned, judged = set(), set()
    batch, plain = FrozenAnswers.batch, ViewsOfPictures.plain

    def noted_batch(self: FrozenAnswers, rows: np.ndarray, *, epoch: int, step: int):
        found = batch(self, rows, epoch=epoch, step=step)
        learned.add((epoch, *found.shape[2:]))
        return found

    def noted_plain(self: ViewsOfPictures, rows: np.ndarray) -> torch.Tensor:
        found = plain(self, rows)
        judged.add(tuple(found.shape[2:]))
        return found

    monkeypatch.setattr(FrozenAnswers, "batch", noted_batch)
    monkeypatch.setattr(ViewsOfPictures, "plain", noted_plain)
    found = lessons.climb(CLIMB.replace(rungs=("2:2:1",), zoom=0.15))
    assert learned == {(1, 6, 6), (2, 8, 8)}
    assert judged == {(), (8, 8)}  # the head's features, and whole maps
    assert [rung["crop"] for rung in found.rungs] == [6]


@pytest.mark.usefixtures("narrow_crops")
@pytest.mark.parametrize(("rung", "crop"), [("2:1:2", None), ("2:1:1", 6), ("3:1:1", None)])
def test_views_and_whole_pictures_are_not_cropped(
    lessons: Lessons, rung: str, crop: int | None
) -> None:
    found = lessons.climb(QUICK.replace(rungs=(rung,), zoom=0.15))
    assert [own["crop"] for own in found.rungs] == [crop]


@pytest.mark.usefixtures("narrow_crops")
@pytest.mark.parametrize(
    ("zoom", "narrow", "share"), [(0.15, (2 / 4) ** 2, (6 / 8) ** 2), (0.0, 1.0, 1.0)]
)
def test_the_work_of_a_rung_is_that_of_the_crops_it_learns_from(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, zoom: float, narrow: float, share: float
) -> None:
    asked: list[dict[int, float]] = []
    work_of = ladder.work_of

    def noted(*given, crops, **kinds):
        asked.append(dict(crops))
        return work_of(*given, crops=crops, **kinds)

    monkeypatch.setattr(ladder, "work_of", noted)
    gains(monkeypatch, UNSURE, UNSURE)
    lessons.climb(QUICK.replace(zoom=zoom))
    assert asked == [{1: narrow, 2: share}]


@pytest.mark.usefixtures("narrow_crops")
@pytest.mark.parametrize(("zoom", "text"), [(0.15, "2:6:1"), (0.0, "2:4:2")])
def test_by_default_a_rung_has_crops_or_a_view(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, zoom: float, text: str
) -> None:
    gains(monkeypatch, UNSURE, UNSURE)
    plans = []
    lessons.climb(
        QUICK.replace(zoom=zoom, epochs=0, views=0),
        on_plan=lambda plan: plans.append(plan),
    )
    assert [own for plan in plans for own in plan if own.startswith("2")] == [text]

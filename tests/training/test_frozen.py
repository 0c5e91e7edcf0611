"""The frozen stages: each picture is asked about once, and a deeper cut is made when needed."""

import dataclasses

import numpy as np
import pytest
from tests.training.climbs import CLIMB, Lessons, Told

from saccade.models.inference import predict_logits
from saccade.training import frozen
from saccade.training.frozen import FrozenStages
from saccade.training.history import History
from saccade.training.inputs import FrozenAnswers, Pictures
from saccade.training.plan import PlannedRung
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

PLAIN = PlannedRung(num_last=2, epochs=2, views=1)
CROPPED = CLIMB.replace(zoom=0.15)


def stages(
    lessons: Lessons, *depths: int, told: Told | None = None, recipe: Recipe = CLIMB
) -> FrozenStages:
    around = Surroundings(device="cpu", history=History(), progress=told or Told())
    found = FrozenStages(lessons.network(), lessons.material, recipe, around, depths=depths)
    assert found.look()
    return found


def test_a_depth_that_was_not_named_is_looked_at_when_it_is_asked_for(lessons: Lessons) -> None:
    late, early = stages(lessons, 1), stages(lessons, 1, 2)
    assert not late.exact(2)
    inputs, expected = late.inputs(PLAIN), early.inputs(PLAIN)
    assert isinstance(inputs, FrozenAnswers)
    assert isinstance(expected, FrozenAnswers)
    rows = lessons.material.validation_rows
    np.testing.assert_allclose(
        inputs.pictures.plain(rows), expected.pictures.plain(rows), atol=1e-5
    )
    assert late.exact(2)


def test_what_a_deeper_pass_leads_to_is_what_the_whole_network_says(lessons: Lessons) -> None:
    late = stages(lessons, 1)
    assert late.inputs(PLAIN) is not None
    said = predict_logits(late.network, lessons.lesson.cache, late.rows)
    np.testing.assert_allclose(late.asked(2).logits_NK[late.rows], said, atol=1e-4)
    canvases = lessons.lesson.cache.canvases(late.rows[:5])
    np.testing.assert_allclose(late.final_engine(2)(canvases), said[:5], atol=1e-4)


def test_a_pass_is_made_once_however_often_a_depth_is_asked_for(lessons: Lessons) -> None:
    late = stages(lessons, 1)
    assert late.seconds_to_look(1) == 0
    assert late.seconds_to_look(2) > 0
    late.inputs(PLAIN)
    assert late.seconds_to_look(2) == 0
    passes = list(late._passes)
    late.inputs(PLAIN)
    assert late._passes == passes
    assert len(passes) == 2


def test_time_is_kept_for_the_test_where_its_answers_are_not_known_yet(lessons: Lessons) -> None:
    """In bf16, and where the whole network learned, all pictures are asked once more."""
    late = stages(lessons, 1)
    assert [late.seconds_to_answer(depth) for depth in (0, 1, 2)] == [0, 0, 0]
    assert late.seconds_to_answer(3) > frozen.SECONDS_TO_CONVERT
    first = late._passes[0]
    first._engine = dataclasses.replace(first.engine, name="torch bf16")
    assert late.seconds_to_answer(0) > frozen.SECONDS_TO_CONVERT
    assert late.seconds_to_answer(1) > frozen.SECONDS_TO_CONVERT


def test_what_a_rung_was_taken_from_is_looked_at_again_when_asked(lessons: Lessons) -> None:
    late = stages(lessons, 1)
    assert late.hold(2)
    assert late.exact(2)
    assert late.hold(1)
    assert late.hold(3)  # the whole network: nothing to hold
    assert not late.exact(3)


def test_views_of_a_deeper_pass_are_those_of_the_first(lessons: Lessons) -> None:
    two = PlannedRung(num_last=2, epochs=1, views=2)
    late, early = stages(lessons, 1), stages(lessons, 1, 2)
    assert late.inputs(two) is not None
    assert early.inputs(two) is not None
    rows = np.array(lessons.material.train_rows[:9])
    found, expected = (own._known(2).pictures(two).views[1].of(rows) for own in (late, early))
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_the_whole_network_learns_from_pictures_and_needs_no_pass(lessons: Lessons) -> None:
    late = stages(lessons, 1)
    assert late.seconds_to_look(3) == 0
    assert isinstance(late.inputs(PlannedRung(num_last=3, epochs=1, views=1)), Pictures)


def test_a_deeper_cut_that_cannot_be_made_is_told_once(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:

    known, told = frozen.find_cut, Told()
    late = stages(lessons, 1, told=told)
    monkeypatch.setattr(
        frozen, "find_cut", lambda net, depth: None if depth == 2 else known(net, depth)
    )
    assert isinstance(late.inputs(PLAIN), Pictures)
    assert isinstance(late.inputs(PLAIN), Pictures)
    assert [line for line in told.sentences if "cannot be cut" in line] == [
        "cnn cannot be cut, or its answers not be kept, before its last 2 stages; there the whole "
        "network runs each epoch."
    ]


def test_activations_that_nobody_computed_are_not_answered_for(lessons: Lessons) -> None:
    with pytest.raises(LookupError, match="before the last 2 stages"):
        stages(lessons, 1).asked(2)


@pytest.mark.usefixtures("narrow_crops")
def test_a_rung_may_learn_from_crops_and_whoever_asks_otherwise_from_whole_maps(
    lessons: Lessons,
) -> None:
    found = stages(lessons, 1, 2, recipe=CROPPED)
    assert [found.crop(depth) for depth in (0, 1, 2, 3)] == [None, 2, 6, None]
    assert [found.share(depth) for depth in (1, 2, 3)] == [(2 / 4) ** 2, (6 / 8) ** 2, 1]
    rows = np.array(lessons.material.train_rows[:5])
    sides = {}
    for crops in (False, True):
        inputs = found.inputs(PLAIN, crops=crops)
        assert inputs is not None
        sides[crops] = inputs.batch(rows, epoch=1, step=0).shape[2:]
    assert sides == {False: (8, 8), True: (6, 6)}


@pytest.mark.usefixtures("narrow_crops")
def test_the_crop_of_a_cut_that_was_not_made_yet_is_that_of_the_cut(lessons: Lessons) -> None:
    late = stages(lessons, 1, recipe=CROPPED)
    assert late.crop(2) == 6
    assert len(late._passes) == 1  # nothing was computed for it


@pytest.mark.usefixtures("narrow_crops")
def test_where_crops_may_not_be_there_are_none(lessons: Lessons) -> None:
    assert stages(lessons, 2, recipe=CLIMB).crop(2) is None  # it does not zoom


def features_of_view(found: FrozenStages, rows: list[int], *, depth: int) -> list[np.ndarray]:
    return [view(np.array(rows)) for view in found.view_features(depth)]


@pytest.mark.usefixtures("narrow_crops")
def test_where_rungs_learned_in_crops_a_view_is_made_for_who_asks(lessons: Lessons) -> None:
    """The same draw that would have been kept as the first view, but for its half precision."""
    rows = lessons.material.train_rows[3:9]
    kept = stages(lessons, 1, 2, recipe=CROPPED)
    assert kept.view_features(0) == ()  # no rung has asked for anything
    assert kept.inputs(dataclasses.replace(PLAIN, views=2)) is not None
    made = stages(lessons, 1, 2, recipe=CROPPED)
    assert made.crop(2) == 6
    (expected,), (found,) = (features_of_view(own, rows, depth=0) for own in (kept, made))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)
    assert len(made._passes[0].views) == 1  # nothing is kept of it
    plain = made.features(rows)
    assert np.abs(found - plain).max() > 0.1 * np.abs(plain).max()  # negative control


@pytest.mark.usefixtures("narrow_crops")
def test_no_view_is_made_by_an_engine_whose_weights_have_learned(lessons: Lessons) -> None:
    found = stages(lessons, 1, 2, recipe=CROPPED)
    assert found.crop(2) == 6
    first = found._passes[0]
    first._engine = dataclasses.replace(first.engine, shares_weights=True)
    assert found.view_features(2) == ()
    assert len(found.view_features(0)) == 1


@pytest.mark.usefixtures("narrow_crops")
def test_a_deeper_cut_that_has_no_room_is_not_planned_in_crops(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whole pictures would be learned for as many epochs as crops are."""
    told = Told()
    late = stages(lessons, 1, told=told, recipe=CROPPED)
    monkeypatch.setattr(late, "_has_room", lambda *_: False)
    assert late.crop(2) is None
    assert late.share(2) == 1
    assert isinstance(late.inputs(PLAIN), Pictures)
    assert sum("cannot be cut" in line for line in told.sentences) == 1

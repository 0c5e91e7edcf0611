"""Row C2: a ladder stopped anywhere and gone on with ends as one that was never stopped."""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tests.training.test_ladder import always

from saccade.models.inference import predict_logits
from saccade.runtime.budget import Budget
from saccade.training import fit as fit_module
from saccade.training import ladder, learn, standing
from saccade.training.checkpoint import read_checkpoint
from saccade.training.head import Folds
from saccade.training.history import History
from saccade.training.recipe import Recipe

MANY = 20


@dataclass(frozen=True, kw_only=True)
class Question:
    """A moment in which a run asks whether it should stop."""

    after: str  # the event before it
    rungs: int  # that were tried
    epochs: int  # that ended in this rung


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A run that was not stopped."""

    run: Climbed
    asked: list[Question]  # when it asked whether it should stop
    plans: list[tuple[str, ...]]  # that were told
    models: list[int]  # stages that learned in each usable model


@pytest.fixture(scope="module")
def whole(lessons: Lessons, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    history, asked = History(), []

    def note() -> bool:
        events = [event["event"] for event in history.events]
        last = max((n for n, event in enumerate(events) if event == "rung"), default=0)
        asked.append(
            Question(
                after=events[-1] if events else "",
                rungs=events.count("rung"),
                epochs=events[last:].count("epoch"),
            )
        )
        return False

    plans: list[tuple[str, ...]] = []
    models: list[int] = []
    found = lessons.climb(
        history=history,
        asked_to_stop=note,
        checkpoint=tmp_path_factory.mktemp("whole") / "checkpoint.safetensors",
        on_plan=plans.append,
        on_model=models.append,
    )
    assert [rung["taken"] for rung in found.rungs] == TAKEN
    return Whole(run=found, asked=asked, plans=plans, models=models)


class Stopper:
    """Asks to stop at one question, and from then on."""

    def __init__(self, at: int, error: type[Exception] | None = None) -> None:
        self.at, self.asked, self.error = at, 0, error

    def __call__(self) -> bool:
        self.asked += 1
        if self.error is not None and self.asked > self.at:
            raise self.error
        return self.asked > self.at


class Killed(Exception):
    """The process is gone; nothing could be written any more."""


def stopped_and_resumed(
    lessons: Lessons,
    folder: Path,
    *,
    at: int,
    recipe: Recipe = CLIMB,
    killed: bool = False,
    checkpoint_seconds: float = 15,
) -> Climbed:
    """Stop a run at a question, or kill it there, and go on as `saccade resume` does."""
    folder.mkdir(parents=True, exist_ok=True)
    path, notes = folder / "checkpoint.safetensors", folder / "history.jsonl"
    around = {"checkpoint": path, "checkpoint_seconds": checkpoint_seconds}
    stopper = Stopper(at, Killed if killed else None)
    try:
        stopped = lessons.climb(recipe, asked_to_stop=stopper, history=History(notes), **around)
        assert stopped.learned.interrupted
    except Killed:
        pass
    checkpoint = read_checkpoint(path) if path.exists() else None
    kept = History(notes, keep=checkpoint.counters["events"] if checkpoint else 0)
    return lessons.climb(recipe, resume=checkpoint, history=kept, **around)


def stopped_after_an_epoch(lessons: Lessons, **around: Any) -> Climbed:
    """Stop a run as soon as an epoch of its first rung is over."""
    history = History()

    def over() -> bool:
        return any(event["event"] == "epoch" for event in history.events)

    return lessons.climb(QUICK, asked_to_stop=over, history=history, **around)


def as_json(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return events as a file gives them back: tuples as lists, what is not finite as null."""
    from saccade.runtime.store import json_text

    return [json.loads(json_text(event)) for event in events]


def assert_same(found: Climbed, expected: Climbed) -> None:
    assert different(found.weights, expected.weights) == []
    assert as_json(found.timeless) == as_json(expected.timeless)
    assert found.learned.num_stages == expected.learned.num_stages
    if expected.learned.known is not None:
        known = found.learned.known
        np.testing.assert_array_equal(known.logits_NK, expected.learned.known.logits_NK)


def question(asked: list[Question], wanted: Callable[[Question], bool], *, which: int = 0) -> int:
    return [number for number, own in enumerate(asked) if wanted(own)][which]


@pytest.mark.parametrize(
    ("wanted", "which"),
    [
        # while the head's features are computed
        pytest.param(lambda q: q.after == "augmentation", 0, marks=pytest.mark.slow),
        # while views are computed
        pytest.param(lambda q: q.after == "head", 2, marks=pytest.mark.slow),
        (lambda q: q.rungs == 1 and q.epochs == 1, 3),  # within the second epoch of a rung
        (lambda q: q.rungs == 1, -1),  # after the last step of a rung
    ],
    ids=["frozen stages", "views", "within an epoch", "end of a rung"],
)
def test_a_ladder_that_was_stopped_ends_as_one_that_was_not(
    lessons: Lessons, whole: Whole, tmp_path: Path, wanted: Callable[[Question], bool], which: int
) -> None:
    found = stopped_and_resumed(lessons, tmp_path, at=question(whole.asked, wanted, which=which))
    assert_same(found, whole.run)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(MANY))
def test_stopped_anywhere_it_ends_as_one_that_was_not(
    lessons: Lessons, whole: Whole, tmp_path: Path, number: int
) -> None:
    at = int(np.random.default_rng([7, number]).integers(len(whole.asked)))
    assert_same(stopped_and_resumed(lessons, tmp_path, at=at), whole.run)


@pytest.mark.parametrize(
    "number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, MANY))]
)
@pytest.mark.parametrize("checkpoint_seconds", [0, pytest.param(15, marks=pytest.mark.slow)])
def test_killed_anywhere_it_ends_as_one_that_was_not(
    lessons: Lessons, whole: Whole, tmp_path: Path, number: int, checkpoint_seconds: float
) -> None:
    """Nothing is written at the moment of death; what earlier checkpoints hold must be enough."""
    at = int(np.random.default_rng([8, number]).integers(len(whole.asked)))
    found = stopped_and_resumed(
        lessons, tmp_path, at=at, killed=True, checkpoint_seconds=checkpoint_seconds
    )
    assert_same(found, whole.run)


@pytest.mark.usefixtures("narrow_crops")
def test_a_rung_on_crops_that_was_stopped_ends_as_one_that_was_not(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, [True] * 5)  # not stopped, stopped, gone on with, and two others
    recipe = CLIMB.replace(rungs=("2:2:1",), zoom=0.15, hflip=0.5)
    history, inside = History(), []

    def note() -> bool:
        inside.append(sum(event["event"] == "epoch" for event in history.events) == 1)
        return False

    expected = lessons.climb(recipe, history=history, asked_to_stop=note)
    found = stopped_and_resumed(lessons, tmp_path, at=inside.index(True) + 3, recipe=recipe)
    assert_same(found, expected)
    for other in (recipe.replace(zoom=0.0), recipe.replace(hflip=0.0)):
        assert different(found.weights, lessons.climb(other).weights)  # negative control


@pytest.mark.slow
def test_killed_after_a_rung_below_the_first_pass_it_ends_as_one_that_was_not(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the rung was taken from is looked at again, for the answers that end the run."""
    from saccade.training import learn

    monkeypatch.setattr(learn, "first_depths", lambda _: (1,))
    history, rungs = History(), []

    def note() -> bool:
        rungs.append(sum(event["event"] == "rung" for event in history.events))
        return False

    expected = lessons.climb(history=history, asked_to_stop=note)
    assert [rung["taken"] for rung in expected.rungs] == TAKEN
    assert all(rung["cached"] for rung in expected.rungs[:2])
    assert expected.learned.known is not None
    found = stopped_and_resumed(
        lessons, tmp_path, at=rungs.index(2) + 2, killed=True, checkpoint_seconds=0
    )
    assert_same(found, expected)


def test_a_checkpoint_that_knows_less_of_the_ladder_is_gone_on_with(
    lessons: Lessons, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tuple(name for name in standing._KEPT if name != "harmed")
    with monkeypatch.context() as patch:
        patch.setattr(standing, "_KEPT", kept)
        at = question(whole.asked, lambda q: q.rungs == 1 and q.epochs == 1, which=3)
        path, notes = tmp_path / "checkpoint.safetensors", tmp_path / "history.jsonl"
        lessons.climb(asked_to_stop=Stopper(at), checkpoint=path, history=History(notes))
    checkpoint = read_checkpoint(path)
    history = History(notes, keep=checkpoint.counters["events"])
    assert_same(lessons.climb(resume=checkpoint, history=history), whole.run)


@pytest.mark.slow
def test_stopped_again_and_again_it_ends_as_one_that_was_not(
    lessons: Lessons, whole: Whole, tmp_path: Path
) -> None:
    path, notes = tmp_path / "checkpoint.safetensors", tmp_path / "history.jsonl"
    checkpoint, found = None, None
    for _ in range(40):
        kept = History(notes, keep=checkpoint.counters["events"] if checkpoint else 0)
        found = lessons.climb(
            asked_to_stop=Stopper(len(whole.asked) // 4),
            checkpoint=path,
            resume=checkpoint,
            history=kept,
        )
        if not found.learned.interrupted:
            break
        checkpoint = read_checkpoint(path) if path.exists() else None
    assert found is not None
    assert_same(found, whole.run)


def lose_the_number(patch: pytest.MonkeyPatch) -> None:
    known = ladder.climb_from

    def forgetful(checkpoint):
        found = known(checkpoint)
        found.number = 0
        return found

    patch.setattr(ladder, "climb_from", forgetful)


def lose_the_step(patch: pytest.MonkeyPatch) -> None:
    known = fit_module._Loop.begin

    def forgetful(self, resume):
        standing = known(self, resume)
        standing.step = 0
        return standing

    patch.setattr(fit_module._Loop, "begin", forgetful)


@pytest.mark.parametrize(
    ("lose", "where", "killed"),
    [(lose_the_step, (1, 1), False), (lose_the_number, (2, 0), True)],
    ids=["step", "rung"],
)
def test_with_a_lost_counter_it_ends_otherwise_negative_control(
    lessons: Lessons,
    whole: Whole,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lose,
    where,
    killed,
) -> None:
    at = question(whole.asked, lambda q: (q.rungs, q.epochs) == where, which=3)
    lose(monkeypatch)
    found = stopped_and_resumed(lessons, tmp_path, at=at, killed=killed)
    with pytest.raises(AssertionError):
        assert_same(found, whole.run)


@pytest.mark.parametrize("verdicts", [[False, False, True], [True, True, True]])
def test_killed_after_the_climb_it_climbs_no_further(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdicts: list[bool]
) -> None:
    """As in the test of the model: the checkpoint of the last rung is all there is."""
    recipe = QUICK
    path, notes = tmp_path / "checkpoint.safetensors", tmp_path / "history.jsonl"
    always(monkeypatch, verdicts)
    expected = lessons.climb(recipe, checkpoint=path, history=History(notes))
    checkpoint = read_checkpoint(path)
    kept = History(notes, keep=checkpoint.counters["events"])
    found = lessons.climb(recipe, resume=checkpoint, history=kept)
    assert_same(found, expected)


def test_after_a_climb_that_the_clock_ended_a_resumed_run_climbs_no_further(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second rung did not fit; a resumed run begins with a new budget, in which it would."""
    path, notes = tmp_path / "checkpoint.safetensors", tmp_path / "history.jsonl"
    always(monkeypatch, [True, True, True])
    prices = iter([1e-3, 1e3, 1e3])
    monkeypatch.setattr(ladder, "seconds_a_step", lambda *_, **__: next(prices))
    budget = Budget(seconds=1000.0, begun=time.monotonic())
    plans: list[tuple[str, ...]] = []
    expected = lessons.climb(
        QUICK, checkpoint=path, history=History(notes), budget=budget, on_plan=plans.append
    )
    assert len(expected.rungs) == 1
    monkeypatch.setattr(ladder, "seconds_a_step", lambda *_, **__: 1e-3)
    checkpoint = read_checkpoint(path)
    found = lessons.climb(
        QUICK.replace(rungs=plans[0]),
        resume=checkpoint,
        history=History(notes, keep=checkpoint.counters["events"]),
        budget=Budget(seconds=1000.0, begun=time.monotonic()),
    )
    assert len(found.rungs) == 1
    assert different(found.weights, expected.weights) == []


# --- plans -----------------------------------------------------------------------------------


def test_the_plan_is_told_when_all_is_climbed_and_gives_the_same_weights_again(
    lessons: Lessons, whole: Whole
) -> None:
    plan = ("1:2:4", "2:2:4", "3:2:4")
    assert whole.plans == [plan]
    again: list[tuple[str, ...]] = []
    found = lessons.climb(CLIMB.replace(rungs=plan), on_plan=again.append)
    assert again == whole.plans
    assert_same(found, whole.run)


def test_a_climb_that_stops_on_the_way_tells_no_plan_for_a_resume_would_take_it_for_the_users(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its first rung before any checkpoint, a run began anew with that rung alone."""
    told: list[tuple[str, ...]] = []
    path = tmp_path / "checkpoint.safetensors"
    stopped = stopped_after_an_epoch(lessons, checkpoint=path, on_plan=told.append)
    assert (stopped.learned.interrupted, told) == (True, [])
    always(monkeypatch, [True, True, True])
    lessons.climb(QUICK, resume=read_checkpoint(path), on_plan=told.append)
    assert told == [("1:1:1", "2:1:1", "3:1:1")]


def test_a_network_that_was_stopped_before_its_head_was_solved_is_said_to_know_nothing(
    lessons: Lessons, tmp_path: Path
) -> None:
    """Its last layer is random; one that goes on has not loaded what it knew by then either."""
    path = tmp_path / "checkpoint.safetensors"
    later = stopped_after_an_epoch(lessons, checkpoint=path)
    assert later.learned.knows_something
    resume = read_checkpoint(path)
    at_once = [lessons.climb(QUICK, asked_to_stop=Stopper(0), resume=own) for own in (None, resume)]
    assert [own.learned.interrupted for own in at_once] == [True, True]
    assert not any(own.learned.knows_something for own in at_once)


def test_a_usable_model_stands_after_the_head_and_after_each_rung_that_is_taken(
    whole: Whole,
) -> None:
    assert whole.models == [0, 2]


# --- what else learning may be asked to do ----------------------------------------------------


def test_what_is_known_of_the_pictures_is_what_the_network_that_ships_says(
    lessons: Lessons, whole: Whole
) -> None:
    learned = whole.run.learned
    rows = range(len(learned.frozen.material.targets))
    assert sorted(rows) == list(range(len(lessons.lesson.catalog)))
    said = predict_logits(whole.run.network, lessons.lesson.cache, rows)
    np.testing.assert_allclose(learned.known.logits_NK, said, atol=1e-4 * np.abs(said).max())


def test_engines_for_other_pictures_say_what_is_known_of_the_same_ones(
    lessons: Lessons, whole: Whole
) -> None:
    learned = whole.run.learned
    rows = list(range(9))
    canvases = lessons.lesson.cache.canvases(rows)
    final = learned.frozen.final_engine(learned.num_stages)(canvases)
    np.testing.assert_allclose(final, learned.known.logits_NK[:9], atol=1e-4)
    frozen = learned.frozen.frozen_engine(learned.num_stages)
    assert frozen is not None
    np.testing.assert_allclose(frozen(canvases), learned.frozen.features(rows), atol=1e-4)


@pytest.mark.parametrize(("unfreeze", "stages"), [("2", 2), ("all", 3), ("9", 3)])
def test_as_many_stages_learn_as_asked_for(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch, unfreeze: str, stages: int
) -> None:
    from saccade.training import fit

    learning: set[str] = set()
    honest = fit.make_optimizer

    def noted(network: Any, recipe: Any, **more: Any) -> Any:
        named = network.named_parameters()
        learning.update(
            name.split(".")[2] for name, own in named if own.requires_grad and "stages" in name
        )
        return honest(network, recipe, **more)

    monkeypatch.setattr(fit, "make_optimizer", noted)
    found = lessons.climb(QUICK.replace(unfreeze=unfreeze))
    assert found.learned.num_stages == stages
    assert found.rungs == []
    assert learning == {str(number) for number in range(3 - stages, 3)}
    first = lessons.network().state_dict()
    changed = {name.split(".")[2] for name in different(found.weights, first) if "stages" in name}
    assert changed <= learning  # the solved head competes, and may win


def test_a_network_that_can_be_cut_nowhere_climbs_from_pictures_and_says_so(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a transformer does: only the classifier can be cut off."""
    from saccade.training import frozen

    known = frozen.find_cut
    monkeypatch.setattr(frozen, "find_cut", lambda net, depth: None if depth else known(net, depth))
    found = lessons.climb(QUICK)
    assert [rung["cached"] for rung in found.rungs] == [False] * len(found.rungs)
    assert found.rungs
    assert found.told[0] == (
        "cnn cannot be cut, or its answers not be kept, before its last 1, 2 stages; there the "
        "whole network runs each epoch."
    )


def test_stages_without_room_for_their_answers_learn_from_pictures(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saccade.training import frozen

    monkeypatch.setattr(frozen, "free_bytes", lambda _folder: 2_000_000)
    found = lessons.climb(QUICK, cache_folder=Path("unused"))
    assert [rung["cached"] for rung in found.rungs][:2] == [True, False]


def test_the_penalty_of_the_head_is_chosen_with_groups_in_one_fold(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt: list[np.ndarray] = []
    honest = learn.fit_head

    def spied(*args: Any, folds: Folds, **kwargs: Any) -> Any:
        dealt.append(folds.of_N)
        return honest(*args, folds=folds, **kwargs)

    monkeypatch.setattr(learn, "fit_head", spied)
    own = lessons.material
    groups = ["" if row % 5 == 4 else f"burst{row // 5}" for row in range(len(own.targets))]
    grouped = dataclasses.replace(own, groups=groups)
    monkeypatch.setattr(Lessons, "material", grouped)
    lessons.climb(CLIMB.replace(unfreeze="0"))
    fold_of = dict(zip(own.train_rows, dealt[0].tolist(), strict=True))
    named = [groups[row] for row in own.train_rows if groups[row]]
    pairs = {(groups[row], fold) for row, fold in fold_of.items() if groups[row]}
    assert len(set(named)) == len(pairs) < len(named)
    assert set(fold_of.values()) == {0, 1, 2, 3, 4}


def test_the_solved_head_is_written_into_the_network(lessons: Lessons) -> None:
    from saccade.training.head import Head

    network = lessons.network()
    weight = np.arange(24, dtype=np.float32).reshape(6, 4)
    bias = np.arange(6, dtype=np.float32)
    learn.set_head(
        network, Head(weight_KD=weight, bias_K=bias, penalty=1.0, candidates=(), share=1.0)
    )
    assert torch.equal(network.classifier.weight, torch.from_numpy(weight))
    assert torch.equal(network.classifier.bias, torch.from_numpy(bias))


def test_a_name_with_a_line_end_of_its_own_does_not_cut_the_history(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.add("race", name="a\u2028b\x85c")
    history.add("head")
    assert [event["event"] for event in History(tmp_path / "history.jsonl").events] == [
        "race",
        "head",
    ]


def test_stages_that_stay_random_are_told(image_folder: Any, tmp_path: Path) -> None:
    import saccade
    from saccade.runtime.progress import Progress

    told: list[str] = []

    class Told(Progress):
        def say(self, sentence: str) -> None:
            told.append(sentence)

    recipe = Recipe(model="cnn", img_size=16, widths=(4, 4, 4), unfreeze="2", epochs=1, trust=False)
    saccade.train(image_folder(2, 12), recipe, output=tmp_path / "run", progress=Told())
    said = "--unfreeze 2: of cnn, which begins at random, the first 1 of 3 stages stay so."
    assert said in told

"""The choice of the backbone: several are probed on a sample of the training part, one stays."""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from saccade.lesson import Lesson, on_canvases_of
from saccade.models.candidates import Entrant, Field
from saccade.runtime import device
from saccade.runtime.budget import Budget
from saccade.runtime.errors import ArtefactError, UsageError
from saccade.runtime.progress import Progress
from saccade.training.choice import choose
from saccade.training.history import History, read_history
from saccade.training.objective import score_name
from saccade.training.probe import (
    FEWEST_A_CLASS,
    NotProbed,
    Sample,
    draw_sample,
    num_wanted,
)
from saccade.training.race_event import counts_told, left_out_row, row_of, sentence
from saccade.training.recipe_file import write_recipe
from saccade.training.runner import Runner, plan_sample

SHARE = 0.25
"""Share of what is left of a budget that a race may take: choosing is worth less than learning."""
END_SECONDS = 8.0  # of a run, whatever the size: converting, tables, report
SETTLED = {"race", "augmentation"}  # events
FEWEST = 100  # pictures of a probe; fewer tell networks apart too seldom


def race(
    field: Field,
    lesson: Lesson,
    *,
    device_name: str,
    folder: Path,
    budget: Budget,
    progress: Progress,
    stack: ExitStack,
) -> tuple[Entrant, Lesson]:
    """Return the network that the run is to train, and the lesson with its name and its canvases.

    Each entrant is asked for the features of the same training pictures, drawn evenly from the
    classes; a head is solved on them and judged out of fold; `choose` decides. Validation and
    test pictures have no say. With a budget, first a look at how quick each one is: who could not
    be asked about every picture in time is left out, and the sample is as large as `SHARE` of
    the budget allows. What happened is told, noted in the history as `race`, and the name is
    written into recipe.toml, so that the same recipe trains the same network without a race.

    Args:
        field: two networks or more.
        lesson: its pictures decoded for one of them.
        device_name: "cpu", "cuda" or "mps".
        folder: of the run.
        budget: may have no limit.
        progress: is told.
        stack: keeps the pixel store of the winner open.
    """
    own = _Race(field, lesson, device_name, budget, progress)
    with device.threads(lesson.recipe.threads):
        winner = own.run()
    own.note(History(folder / "history.jsonl", keep=0))
    recipe = lesson.recipe.replace(model=winner.name)
    write_recipe(folder / "recipe.toml", recipe)
    lesson = dataclasses.replace(lesson, recipe=recipe)
    if winner.preprocess != lesson.cache.preprocess:
        store = stack.enter_context(winner.store(progress))
        lesson = on_canvases_of(lesson, store, progress=progress)
    return winner.entrant, lesson


def num_settled_events(path: Path) -> int:
    """Return how many events of a history tell what was settled before all learning.

    The race and the check of the augmentation: what they decided is in recipe.toml, so a run that
    goes on does not come by them again.
    """
    events = read_history(path) if path.exists() else []
    settled = itertools.takewhile(lambda own: own.get("event") in SETTLED, events)
    return len(list(settled))


class _Race:
    """The runners, from the start to the choice."""

    def __init__(
        self, field: Field, lesson: Lesson, device_name: str, budget: Budget, progress: Progress
    ) -> None:
        self.field, self.lesson, self.budget, self.progress = field, lesson, budget, progress
        self.begun = time.monotonic()
        self.seconds = SHARE * max(budget.left, 0.0)
        self.runners = [
            Runner(
                one,
                catalog=lesson.catalog,
                task=lesson.task,
                recipe=lesson.recipe,
                decoded=lesson.cache.preprocess,
                device=device_name,
            )
            for one in field.entrants
        ]
        self.winner = self.runners[0]
        self.sample: Sample | None = None

    def run(self) -> Runner:
        """Return the winner."""
        self.sample = self._draw(num_wanted(self.lesson.task))
        if self.sample is None:
            return self._by_default("the first; there are too few training pictures to compare by")
        if self.budget.limited:
            self._look(self.sample)
            self.sample = self._within_budget(self.sample)
            if self.sample is None:
                return self.winner
        counts = counts_told(self.sample, self.lesson.task)
        self.progress.say(
            f"race: {len(self._running)} networks are asked about {len(self.sample.rows)} of "
            f"{len(self.lesson.split.rows('train'))} training pictures{counts}"
        )
        self._probe(self.sample)
        return self.winner

    @property
    def _running(self) -> list[Runner]:
        return [runner for runner in self.runners if not runner.why]

    def _draw(self, num: int) -> Sample | None:
        lesson = self.lesson
        return draw_sample(
            lesson.split.rows("train"),
            lesson.targets,
            lesson.split.groups,
            task=lesson.task,
            num=num,
            seed=lesson.recipe.seed,
        )

    def _by_default(self, why: str) -> Runner:
        """Take the quickest that is still running, or the first where none was looked at."""
        running = self._running
        known = [own for own in running if math.isfinite(own.seconds_a_picture)]
        quickest = min(known, key=lambda own: own.seconds_for_all, default=None)
        self.winner = quickest or (running or self.runners)[0]
        self.winner.why = why
        for runner in self._running:
            runner.why = "not compared"
        return self.winner

    def _look(self, sample: Sample) -> None:
        """Find out how quick each one is, in half of the time that the race has."""
        self.progress.start("look at the networks", len(self.runners), "networks")
        for runner in self.runners:
            if time.monotonic() > self.begun + self.seconds / 2:
                runner.why = "there was no time to look at it"
            else:
                self._guarded(runner, lambda own: own.look(sample.rows[:4]))
            self.progress.advance()
        self.progress.close()

    def _within_budget(self, sample: Sample) -> Sample | None:
        """Return the sample that there is time for; None where there is nothing to race."""
        race_left = self.begun + self.seconds - time.monotonic()
        run_left = max(self.budget.left - END_SECONDS - race_left, 0.0)
        looked = sorted(self._running, key=lambda own: own.seconds_for_all)
        quick = [own for own in looked if own.seconds_for_all <= run_left]
        for runner in looked[max(len(quick), 1) :]:
            runner.why = (
                f"all pictures would take it {runner.seconds_for_all:.0f} s, and the budget has "
                f"{run_left:.0f} s for them"
            )
        if len(quick) < 2:
            why = "the only one" if quick else "the quickest" if looked else "the first"
            more = " that the budget has time for" if quick else "; the budget has no time for more"
            self._by_default(why + more)
            return None
        count, num = plan_sample(
            [own.seconds_for_all / len(own.catalog) for own in quick],
            num=len(sample.rows),
            fewest=max(FEWEST, FEWEST_A_CLASS * len(self.lesson.task.classes)),
            seconds=race_left,
        )
        smaller = self._draw(num) if count > 1 else None
        if smaller is None:
            self._by_default("the quickest; the budget leaves no time to compare")
            return None
        for runner in quick[count:]:
            runner.why = "the budget leaves no time to probe it"
        return smaller

    def _guarded(self, runner: Runner, step: Callable[[Runner], None]) -> None:
        """Do something with a runner; what is wrong with it stops the run only if it was named."""
        try:
            step(runner)
        except NotProbed as error:
            runner.why = str(error)
        except (UsageError, ArtefactError) as error:
            if self.field.asked != "auto":
                raise
            runner.why = error.message

    def _probe(self, sample: Sample) -> None:
        deadline = self.begun + self.seconds
        for runner in self._running:
            if time.monotonic() > deadline:
                runner.why = "its time was up"
                continue
            self._guarded(
                runner, lambda own: own.run(sample, progress=self.progress, deadline=deadline)
            )
        finished = self._running
        if len(finished) < 2:
            only = "the only one that could be probed"
            self._by_default(only if finished else "the first, for none could be probed")
            return
        probed = [own.probed() for own in finished]
        choice = choose(probed, groups=sample.groups)
        for runner, why, behind in zip(finished, choice.whys, choice.behind, strict=True):
            runner.why, runner.behind = why, behind
        self.winner = finished[choice.place]

    def note(self, history: History) -> None:
        """Write the race into the history, and tell how it ended."""
        name = score_name(self.lesson.task)
        rows = [row_of(own, name, is_chosen=own is self.winner) for own in self.runners]
        rows += [left_out_row(one, name, why) for one, why in self.field.left_out]
        seconds = time.monotonic() - self.begun
        history.add(
            "race",
            asked=self.field.asked,
            candidates=rows,
            num_sample=len(self.sample.rows) if self.sample else 0,
            num_training=len(self.lesson.split.rows("train")),
            seconds=seconds,
            at_seconds=self.budget.spent,
        )
        for row in rows:
            self.progress.say(f"race: {sentence(row)}")
        self.progress.say(f"race: {self.winner.name} is taken, after {seconds:.0f} s")

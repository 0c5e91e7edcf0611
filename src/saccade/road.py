"""From a lesson to a tested model: learn, test, keep, report; the part of the road with torch."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from saccade.answerer import Answerer
from saccade.data import audit
from saccade.data.cache_folder import cache_folder
from saccade.evaluation.model_trust import ModelTrust, fit_trust, scores_of
from saccade.evaluation.predictions import Predictions
from saccade.evaluation.scores import as_json, evaluate, headline
from saccade.evaluation.usual import beside_usual
from saccade.handover import keep_model, model_facts, write_card
from saccade.insight import leaks
from saccade.insight.studies import BEFORE_LEARNING, STUDIES
from saccade.insight.suspects import write_suspects
from saccade.insight.trust import examine, nothing_asked, total_seconds
from saccade.lesson import Lesson, findings_as_json, split_facts, write_split
from saccade.models.network import Network
from saccade.preparing import SECONDS_A_PICTURE, SECONDS_TO_END, Prepared
from saccade.race import num_settled_events
from saccade.rejoined import rejoined
from saccade.report import write_report
from saccade.run import Ledger, file_hashes
from saccade.runtime import device
from saccade.runtime.budget import Budget
from saccade.runtime.errors import DataError, InterruptedRun, command
from saccade.runtime.interrupts import Interrupts
from saccade.runtime.machine import let_go
from saccade.runtime.progress import Progress
from saccade.runtime.store import sha256, write_json
from saccade.training.checkpoint import Checkpoint, read_checkpoint
from saccade.training.frozen import Asked
from saccade.training.history import History, read_history
from saccade.training.learn import Learned, learn
from saccade.training.material import Material
from saccade.training.recipe import Recipe
from saccade.training.recipe_file import write_recipe
from saccade.training.surroundings import Surroundings

CHECKPOINT = "checkpoint.safetensors"

SHARE_FOR_STUDIES = 0.1  # of a budget, at most; studies that take longer are left out by name

LATE, LATE_SECONDS = 0.05, 2.0
"""By how much of a budget, or by how many seconds if that is more, a run may end after it."""


class Road:
    """From a lesson to a tested model: learn, test, keep, report."""

    def __init__(
        self,
        ledger: Ledger,
        lesson: Lesson,
        prepared: Prepared,
        net: Network,
        progress: Progress,
        budget: Budget,
        *,
        parts_before: str = "",
    ) -> None:
        """Learn nothing yet.

        Args:
            ledger: of the run's folder.
            lesson: looked at, and sealed.
            prepared: what is known of the network.
            net: the network, as it was built.
            progress: is told how far it is.
            budget: for everything.
            parts_before: where the run goes on: the fingerprint that its parts had.
        """
        self.ledger, self.lesson, self.parts_before = ledger, lesson, parts_before
        self.net, self.fetched, self.device = net, prepared.fetched, prepared.device
        self.recipe, self.folder = lesson.recipe, ledger.folder
        self.progress, self.budget = progress, budget

    def go(self) -> None:
        """Do all of it."""
        for note in self.net.notes:
            self.progress.say(note)
        with device.threads(self.recipe.threads):
            learned = self._learn()
            self._note_model(learned.num_stages)
            if learned.interrupted:
                self._stop(learned)
            self._test(learned)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _stop(self, learned: Learned) -> NoReturn:
        """Keep what was learned by now, if anything was, and say how to go on."""
        kept, where = "nothing was learned yet", self.folder
        if learned.knows_something:
            keep_model(self.ledger, self.lesson, self.net, table=None, metrics=None)
            kept, where = "the best model so far is kept, untested", self.folder / "model"
        raise InterruptedRun(
            f"Stopped by {self.stopped_by}; {kept}.",
            code="601",
            where=str(where),
            fix=f"go on with: {command('saccade', 'resume', self.folder)}",
        )

    def _learn(self) -> Learned:
        checkpoint = _checkpoint(self.folder)
        past = self.folder / "history.jsonl"
        keep = checkpoint.counters["events"] if checkpoint else num_settled_events(past)
        with self.ledger.timed("learn"), Interrupts() as interrupts:
            learned = learn(
                self.net,
                self._material(),
                recipe=self.recipe,
                pretrained=self.fetched is not None,
                surroundings=Surroundings(
                    device=self.device,
                    history=History(past, keep=keep),
                    progress=self.progress,
                    asked_to_stop=interrupts.asked_to_stop,
                    checkpoint_path=self.folder / CHECKPOINT,
                    budget=self.budget,
                    started=self.budget.begun,
                    cache_folder=cache_folder(self.recipe.cache),
                    weights_key=self.fetched.sha256 if self.fetched else "",
                    on_look=self._rejoin,
                    on_model=self._keep_so_far if self.budget.limited else None,
                    on_plan=self._keep_plan,
                    on_recipe=self._keep_recipe,
                ),
                reserve=self._reserve(),
                resume=checkpoint,
            )
        self.stopped_by = interrupts.signal_name
        if interrupts.asked_to_stop():  # also where it came too late for learning to hear it
            return replace(learned, interrupted=True)
        return learned

    def _material(self) -> Material:
        lesson = self.lesson
        return Material(
            cache=lesson.cache,
            targets=lesson.targets,
            train_rows=lesson.split.rows("train"),
            validation_rows=lesson.split.rows("validation"),
            asked_rows=lesson.split.rows("test"),
            task=lesson.task,
            groups=lesson.split.groups,
        )

    def _rejoin(self, features_ND: np.ndarray) -> Material:
        """Return what to learn from, now that features tell what belongs together."""
        before = self.lesson
        self.lesson = lesson = rejoined(before, features_ND, name=self.net.name)
        if lesson is not before:
            self._note_parts(lesson.split.notes[len(before.split.notes) :])
        if (self.folder / CHECKPOINT).is_file() and lesson.fingerprint != self.parts_before:
            raise DataError(
                "Features put other pictures together than where this run was stopped, so what it "
                "learned from would not be its training part any more.",
                code="346",
                where=f"{lesson.catalog.place}, by {self.net.name}",
                fix="go on where it was begun (machine, packages), or begin a new run",
            )
        self.ledger.facts["split"]["fingerprint"] = lesson.fingerprint
        if self.recipe.strict:
            self._refuse_by_features(features_ND)
        return self._material()

    def _refuse_by_features(self, features_ND: np.ndarray) -> None:
        """Refuse, as `check --strict` does, what only features show to be severe (E360)."""
        lesson = self.lesson.blind()
        evidence = lesson.evidence(features_ND=features_ND, features_name=self.net.name)
        trust = examine(evidence, BEFORE_LEARNING, progress=self.progress)
        severe = [own.sentence for own in trust.findings if own.severity == "severe"]
        audit.refuse_severe(severe, place=self.lesson.catalog.place)

    def _note_parts(self, notes: Iterable[str]) -> None:
        """Write down and tell what has become of the parts.

        Raises:
            DataError: in them something is severe, with `--strict` (E360).
        """
        lesson = self.lesson
        for note in notes:
            self.progress.say(note)
        found = audit.look(
            lesson.catalog, lesson.task, lesson.split, looks=lesson.looks, twins=lesson.twins
        )
        if self.recipe.strict:
            severe = [own.sentence for own in found if own.severity == "severe"]
            audit.refuse_severe(severe, place=lesson.catalog.place)
        self.ledger.facts["data"]["findings"] = findings_as_json(found)
        self.ledger.facts["split"].update(split_facts(lesson))
        write_split(self.folder / "split.csv", lesson.catalog, lesson.split)
        self.ledger.write("running")

    def _note_model(self, num_stages: int) -> None:
        self.ledger.facts["model"] = model_facts(self.net, self.lesson, self.fetched, num_stages)

    def _keep_so_far(self, num_stages: int) -> None:
        """Write the model as it is, untested, so that there is one whatever happens next."""
        self._note_model(num_stages)
        keep_model(self.ledger, self.lesson, self.net, table=None, metrics=None)

    def _keep_recipe(self, recipe: Recipe) -> None:
        """Go on with the recipe whose augmentation is settled: it is the one to run again."""
        self.recipe, self.lesson = recipe, replace(self.lesson, recipe=recipe)
        write_recipe(self.folder / "recipe.toml", recipe)

    def _keep_plan(self, rungs: tuple[str, ...]) -> None:
        """Write the rungs into the recipe: not before all are tried, for a resume reads it."""
        write_recipe(self.folder / "recipe.toml", self.recipe.replace(rungs=rungs))

    def _reserve(self) -> float:
        """Return the seconds that the end of the run takes: intervals, studies, report, saving."""
        num = len(self.lesson.catalog)
        studies = total_seconds(STUDIES, num) if self.recipe.trust else 0.0
        share = min(studies, SHARE_FOR_STUDIES * self.budget.seconds)
        return SECONDS_TO_END + SECONDS_A_PICTURE * num + share

    def _test(self, learned: Learned) -> None:
        """Ask the network about every picture, once; keep what it said and how good that is.

        The test part's answers are opened here: from now on the network only is what it is.
        """
        folder = self.folder
        answerer = Answerer(
            self.net, self.lesson, learned, device_name=self.device, progress=self.progress
        )
        with self.ledger.timed("predict"):
            asked = answerer.asked()
        with self.ledger.timed("calibrate"):
            model_trust = self._fit_trust(asked)
            let_go(asked.features_ND)
        lesson = self.lesson = self._opened()
        table = Predictions(
            task=lesson.task,
            paths=lesson.catalog.paths,
            hashes=lesson.catalog.hashes,
            parts=lesson.split.parts,
            truth=lesson.truth,
            scores=scores_of(asked.logits_NK, task=lesson.task, trust=model_trust),
        )
        with self.ledger.timed("evaluate"):
            table.write_csv(folder / "predictions.csv")
            groups = _own_groups(lesson) if any(lesson.split.groups) else None
            metrics = evaluate(table, seed=self.recipe.seed, groups=groups)
            write_json(folder / "metrics.json", as_json(metrics))
            apart = beside_usual(table, groups=groups)
            self.ledger.facts["summary"] = headline(metrics, lesson.task, apart)
        with self.ledger.timed("save"):
            keep_model(
                self.ledger, lesson, self.net, table=table, metrics=metrics, trust=model_trust
            )
        with self.ledger.timed("studies"):
            self._examine(answerer, asked, table, model_trust)
            write_card(self.ledger, lesson, metrics, model_trust)  # with what the studies found
        with self.ledger.timed("report"):
            self.ledger.facts["files"] = file_hashes(folder)
            self.ledger.write("finished")
            self.ledger.facts["page"] = sha256(write_report(folder, lesson))
        if self.budget.spent > self.budget.seconds + max(LATE_SECONDS, LATE * self.budget.seconds):
            self.ledger.facts["late"] = (
                f"The budget of {self.recipe.budget} was exceeded: it took {self.budget.spent:.1f} "
                "s. It was planned by what a few pictures took before; the rest took longer, or "
                "the least that a run needs (starting, conversion, test, page) is more than that."
            )
        self.ledger.write("finished")
        self.progress.close()

    def _fit_trust(self, asked: Asked) -> ModelTrust | None:
        """Return how scores are calibrated and when not to be believed, by the validation part.

        The test part is still under seal, so it can have no say; it measures what comes of this.
        """
        return fit_trust(
            split=self.lesson.split,
            task=self.lesson.task,
            logits_NK=asked.logits_NK,
            targets=self.lesson.targets,
            features_ND=asked.features_ND,
            seed=self.recipe.seed,
        )

    def _opened(self) -> Lesson:
        """Return the lesson with its seal opened, and note when that was."""
        num = len(self.lesson.split.rows("test"))
        self.ledger.facts["split"]["sealed"] = {"num": num, "until_seconds": self.budget.spent}
        return self.lesson.opened()

    def _examine(
        self, answerer: Answerer, asked: Asked, table: Predictions, model_trust: ModelTrust | None
    ) -> None:
        """Write what can be said of how far the result can be trusted, as far as time allows."""
        pretrained = (
            self.fetched is not None
        )  # stages that began at random know nothing of pictures
        evidence = self.lesson.evidence(
            features_ND=answerer.frozen_features() if pretrained else None,
            features_name=self.net.name,
            frozen_engine=answerer.frozen_engine() if pretrained else None,
            views=answerer.views() if pretrained else (),
            table=table,
            logits_NK=asked.logits_NK,
            model_features_ND=asked.features_ND,
            model_trust=model_trust,
            final_engine=answerer.final_engine(),
            history=read_history(self.folder / "history.jsonl"),
            model=self.ledger.facts["model"],
            seconds=self.ledger.facts["seconds"],
            deadline=self.budget.begun + self.budget.seconds - SECONDS_TO_END,
        )
        if self.recipe.trust:
            trust = examine(evidence, STUDIES, progress=self.progress)
        else:
            trust = nothing_asked(STUDIES, why="--no-trust")
        trust.write(self.folder)
        found = audit.ranked(trust.findings)
        self.ledger.facts["data"]["findings"] += findings_as_json(found)
        for own in found:
            if own.severity == "severe":
                self.progress.say(f"severe: {own.sentence}")
        copies = trust.studies.get("leaks") or leaks.by_looks(evidence)  # the study may be left out
        self.ledger.facts["beside_summary"] = leaks.summary(copies)
        if "suspects" in trust.studies:
            write_suspects(self.folder, evidence, trust.studies["suspects"])


def _own_groups(lesson: Lesson) -> list[str]:
    """Return a group for every picture; one that is alone is its own."""
    return [group or f"\0{row}" for row, group in enumerate(lesson.split.groups)]


def _checkpoint(folder: Path) -> Checkpoint | None:
    path = folder / CHECKPOINT
    return read_checkpoint(path) if path.is_file() else None

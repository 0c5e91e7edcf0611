"""The freezing ladder: head, last stage, last two, …, all; each step only if it is seen to help."""

import dataclasses
import math
import time

import numpy as np

from saccade.evaluation.comparison import FEWEST_UNITS, PairedGain, paired_gain
from saccade.evaluation.intervals import grouping
from saccade.models.network import Network
from saccade.training.augment import augment_of
from saccade.training.checkpoint import Checkpoint, State
from saccade.training.fit import OUT_OF_TIME, Fitted, Rung, fit
from saccade.training.frozen import FrozenStages
from saccade.training.inputs import FrozenAnswers, Inputs
from saccade.training.material import Material
from saccade.training.objective import (
    Judgement,
    interval_of,
    loss_of_knowing_nothing,
    picture_losses,
)
from saccade.training.plan import (
    HARM,
    HOPED,
    WORTH,
    Costs,
    PlannedRung,
    fitted_to,
    half_time,
    read_rungs,
    rung_name,
    rung_recipe,
    seconds_a_step,
    usual_rung,
    work_of,
)
from saccade.training.precision import learns_in_bf16
from saccade.training.recipe import NO_RUNG, Recipe
from saccade.training.schedule import steps_of
from saccade.training.standing import Climb, climb_from, next_rung
from saccade.training.surroundings import Surroundings

SECONDS_TO_PRICE = 3.0
"""Of a budget that must be left for a rung to be timed at all: that alone takes about two."""


def climb(
    network: Network,
    material: Material,
    frozen: FrozenStages,
    *,
    recipe: Recipe,
    surroundings: Surroundings,
    reserve: float,
    resume: Checkpoint | None = None,
) -> Climb:
    """Train the network in place, rung by rung; it ends as the best rung left it.

    A rung begins with the best network so far, lets the last stages learn beside the head (how
    many, says `next_depth`), and is taken only if the paired comparison on the validation part
    says, with 90 % certainty, that the losses of the same pictures became smaller (`paired_gain`
    of `picture_losses`), and by more than the tolerance: where nearly every answer is right,
    losses and gains are tiny. A rung that fails is undone; one that has raised the loss by a
    quarter when half of its epochs are over, is not trained any further (`HARM`).

    Without named rungs the climb also ends before a rung that is not worth its work: a quarter of
    what the one taken before it brought must be a tenth of the loss for each time that the
    rung computes as much as was computed so far. Gains are seen to shrink from rung to rung while
    the work grows; and FLOPs are counted, so no clock decides. A rung left out is named.

    With a budget every rung is fitted to what is left of it, by timing its steps first; a rung
    that would not fit ends the climb, and one whose time runs out is undone.

    Args:
        network: knows a solved head already.
        material: pixels, answers and rows.
        frozen: what its frozen stages say, looked at already.
        recipe: rates, batch size, rungs if they are given, …
        surroundings: who watches, and where checkpoints go.
        reserve: seconds that must be left for the test, the report and saving.
        resume: where a climb with the same arguments stopped.
    """
    standing = climb_from(resume) if resume else Climb(given=bool(recipe.rungs))
    if resume is None and (why := _nothing_to_see(frozen, material, recipe)):
        surroundings.note(f"{why}; only the head is trained. Choose --unfreeze K to train more.")
        return standing
    if resume is not None:
        network.load_state_dict(resume.start or resume.network)
        if recipe.rungs and not standing.given:  # a plan is written when the climb is over
            return standing
    while planned := next_rung(recipe, len(network.stages), standing, crop=frozen.crop):
        if planned.num_last < standing.depth:  # what is frozen for it has changed
            _pass_over(standing, planned, network, surroundings)
            continue
        if _ends(standing, planned, network, material, frozen, surroundings):
            break
        rung = _Climber(network, material, frozen, planned, recipe, surroundings, reserve)
        going_on = resume if resume is not None and resume.start else None
        resume = None
        if not rung.tried(standing, going_on):
            break
    if not standing.interrupted and surroundings.on_plan is not None:
        none = (NO_RUNG,) if surroundings.budget.limited or standing.given else ()
        surroundings.on_plan(standing.planned or none)
    return standing


def _nothing_to_see(frozen: FrozenStages, material: Material, recipe: Recipe) -> str:
    """Say why the validation part could show no rung's gain; "" where it could."""
    rows = material.validation_rows
    units = grouping(material.groups_of(rows), num_rows=len(rows)).count
    if units < FEWEST_UNITS:
        groups = f" in {units} group{'s' * (units != 1)}" if units < len(rows) else ""
        return f"The validation part has {len(rows)} pictures{groups}, too few to judge a rung by"
    if recipe.rungs:  # named ones are all tried
        return ""
    losses = picture_losses(frozen.logits(0, rows), material.targets[rows], task=material.task)
    if not losses.mean() <= recipe.tolerance:
        return ""
    return f"The head leaves the {len(rows)} validation pictures no loss that a rung could lower"


def _pass_over(
    standing: Climb, planned: PlannedRung, network: Network, around: Surroundings
) -> None:
    """Leave out a named rung of fewer stages than have learned, and say so."""
    around.note(
        f"The rung {rung_name(planned.num_last, len(network.stages))} is left out: more stages "
        "than that have learned already."
    )
    standing.planned = (*standing.planned[: standing.number], str(planned))
    standing.number += 1


def _ends(
    standing: Climb,
    planned: PlannedRung,
    network: Network,
    material: Material,
    frozen: FrozenStages,
    around: Surroundings,
) -> bool:
    """Say whether the climb ends before this rung; a note names a rung that is left out."""
    if standing.given or not standing.number:
        return False
    num_train = len(material.train_rows)
    num = num_train + len(material.validation_rows) + len(material.asked_rows)
    tried = read_rungs(standing.planned[: standing.number])
    crops = {rung.num_last: frozen.share(rung.num_last) for rung in (*tried, planned)}
    work = work_of(network, num_pictures=num, num_train=num_train, crops=crops)
    so_far = work.before(tried)
    times = work.of_rung(planned) / so_far
    if standing.hope >= WORTH * times:
        return False
    around.note(
        f"The rung {rung_name(planned.num_last, len(network.stages))} is left out: after what the "
        f"one before it brought, it may be hoped to lower the loss by {standing.hope:.1%}, "
        f"and would compute {times:.1f} times what was computed so far."
    )
    return True


class _Climber:
    """One rung: prepared, planned, trained, compared, taken or undone."""

    def __init__(
        self,
        network: Network,
        material: Material,
        frozen: FrozenStages,
        planned: PlannedRung,
        recipe: Recipe,
        around: Surroundings,
        reserve: float,
    ) -> None:
        self.network, self.material, self.frozen = network, material, frozen
        self.planned, self.recipe, self.around = planned, recipe, around
        self.reserve = reserve + frozen.seconds_to_answer(planned.num_last)
        self.begun = time.perf_counter()

    def tried(self, standing: Climb, resume: Checkpoint | None) -> bool:
        """Try the rung; False where the climb ends with it, for want of time or by a signal."""
        start = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.statistics_move = self.recipe.statistics == "moving"
        planned = self._planned(standing, resume)
        if planned is None:
            return False
        self.network.set_stage_trainable(planned.num_last)
        inputs = self.frozen.inputs(planned, crops=planned.on_crops)
        if inputs is None:
            standing.interrupted = True
            return False
        self._tell_plain(inputs)
        before = self._losses(self._logits(inputs))
        fitted = self._fit(planned, inputs, start, standing, resume, before)
        if fitted.interrupted:
            self.network.load_state_dict(start)
            standing.interrupted = True
            return False
        after_VK = self._said(inputs, fitted.judgement)
        groups = self.material.groups_of(self.material.validation_rows)
        gain = paired_gain(before, self._losses(after_VK), groups=groups)
        taken = gain.helps and gain.value > self.recipe.tolerance and not fitted.failed
        if not taken:
            self.network.load_state_dict(start)
        standing.depth = planned.num_last if taken else standing.depth
        standing.hope = _hope(gain, before) if taken else math.inf
        standing.harmed = gain.value <= 0
        standing.number += 1
        self._note(planned, fitted, inputs, gain, after_VK, taken=taken)
        if fitted.failed == OUT_OF_TIME:  # undone, so the plan is the same without it
            standing.planned = standing.planned[:-1]
            return False
        self._keep(standing)
        if taken and self.around.on_model is not None:
            self.around.on_model(standing.depth)
        return self.around.budget.left > self.reserve

    def _planned(self, standing: Climb, resume: Checkpoint | None) -> PlannedRung | None:
        """Return the rung as it fits into the budget, and add it to the plan."""
        planned = self.planned
        limited = self.around.budget.limited and resume is None
        if limited and not self._can_be_looked_at():
            self._tell_left_out()
            return None
        if limited and not standing.given:
            found = self._fitted(planned)
            if found is None and not standing.number and planned.num_last > 1:
                crops = self.frozen.crop(1) is not None
                found = self._fitted(usual_rung(self.recipe, 1, crops=crops))
                if found is not None:
                    self.around.note(
                        f"The rung ({self._name}) would not fit into the budget; the last stage "
                        "alone is tried instead, and what more would bring is not known."
                    )
            if found is None:
                self._tell_left_out()
                return None
            self.planned = planned = found
        if len(standing.planned) <= standing.number:
            standing.planned = (*standing.planned, str(planned))
        return planned

    def _can_be_looked_at(self) -> bool:
        seconds = self.frozen.seconds_to_look(self.planned.num_last)
        return not seconds or seconds < self.around.budget.left - self.reserve

    def _tell_plain(self, inputs: Inputs) -> None:
        if isinstance(inputs, FrozenAnswers) and inputs.is_plain and augment_of(self.recipe).active:
            self.around.note(
                "A rung learns from pictures as they are: with one view of each (--rungs, --views, "
                "or what the budget left), and no crops, the augmentation has no effect on it."
            )

    def _tell_left_out(self) -> None:
        self.around.note(f"The rung ({self._name}) would not fit into the budget; it is left out.")

    def _fitted(self, wanted: PlannedRung) -> PlannedRung | None:
        """Return the rung with as much of it as the budget allows; None if that is too little."""
        needed = SECONDS_TO_PRICE + self.frozen.seconds_to_look(wanted.num_last)
        if self.around.budget.left - self.reserve < needed:
            return None
        self.network.set_stage_trainable(wanted.num_last)
        plain = dataclasses.replace(wanted, views=1)
        inputs = self.frozen.inputs(plain, crops=wanted.on_crops)
        if inputs is None:
            return wanted  # a signal came; `tried` meets it again
        rows = np.asarray(self.material.train_rows[: self.recipe.batch_size], np.int64)
        bf16 = learns_in_bf16(self.recipe, self.around.device)
        left = self.around.budget.left - self.reserve
        step = seconds_a_step(self.network, inputs, rows, bf16=bf16, seconds=left)
        num = len(self.material.train_rows)
        steps = steps_of(num, self.recipe.batch_size)
        whole = step / self.frozen.share(wanted.num_last) if wanted.on_crops else step
        judging = whole / len(rows) * len(self.material.validation_rows) * 0.5
        costs = Costs(
            view=self.frozen.seconds_a_view(wanted.num_last),
            epoch=1.3 * (steps * step + judging),  # reading, updating and noting come on top
            opening=2 * judging + 0.3 + 1.3 * steps * (whole - step),  # of the last epoch
        )
        return fitted_to(wanted, costs, self.around.budget.left - self.reserve)

    def _fit(
        self,
        planned: PlannedRung,
        inputs: Inputs,
        start: State,
        standing: Climb,
        resume: Checkpoint | None,
        before: np.ndarray,
    ) -> Fitted:
        # Numbers far out can make the head's own loss larger than that of knowing nothing.
        hopeless = 2 * max(loss_of_knowing_nothing(self.material.task), float(before.mean()))

        def gives_up(epoch: int, judged: Judgement) -> str:
            if not judged.loss <= hopeless:  # or it is no number
                return f"validation loss {judged.loss:.3g}: it forgot what it knew"
            if epoch != half_time(planned.epochs):
                return ""
            now = self._losses(self._said(inputs, judged))
            raised = float(now.mean() / max(before.mean(), 1e-30)) - 1
            if raised <= HARM:
                return ""
            much = f"by {raised:.0%}" if raised < 10 else f"{before.mean():.2g} to {now.mean():.2g}"
            return f"at half time it had raised the loss {much}"

        epochs = f"{planned.epochs} epoch{'s' * (planned.epochs != 1)}"
        self.around.progress.say(f"rung: {self._name}, {epochs}")
        return fit(
            self.network,
            self.material,
            recipe=rung_recipe(self.recipe, planned),
            pretrained=True,
            surroundings=self.around,
            inputs=inputs,
            resume=resume,
            rung=Rung(
                start=start,
                counters=dict(standing.counters),
                gives_up=gives_up,
            ),
            seconds=self.around.budget.left - self.reserve,
        )

    def _logits(self, inputs: Inputs) -> np.ndarray:
        """Return what the network as it is now says of the validation pictures, (V, K)."""
        return inputs.logits(self.network, self.material.validation_rows)

    def _said(self, inputs: Inputs, judged: Judgement | None) -> np.ndarray:
        """Return what the network as it is now was judged by just now, (V, K)."""
        known = judged.logits_NK if judged is not None else None
        return self._logits(inputs) if known is None else known

    def _losses(self, logits_VK: np.ndarray) -> np.ndarray:
        if not np.isfinite(logits_VK).all():
            return np.full(len(logits_VK), np.inf)
        wanted_V = self.material.targets[self.material.validation_rows]
        return picture_losses(logits_VK, wanted_V, task=self.material.task)

    def _note(
        self,
        planned: PlannedRung,
        fitted: Fitted,
        inputs: Inputs,
        gain: PairedGain,
        logits_VK: np.ndarray,
        *,
        taken: bool,
    ) -> None:
        judged, rows = fitted.judgement, self.material.validation_rows
        groups, wanted_V = self.material.groups_of(rows), self.material.targets[rows]
        verdict = "taken" if taken else f"undone ({fitted.failed or 'no sure gain'})"
        self.around.history.add(
            "rung",
            stages=planned.num_last,
            name=self._name,
            epochs=planned.epochs,
            views=planned.views,
            cached=isinstance(inputs, FrozenAnswers),
            crop=inputs.crop if isinstance(inputs, FrozenAnswers) else None,
            validation_score=judged.score if judged else None,
            **interval_of(logits_VK, wanted_V, groups, task=self.material.task),
            validation_loss=judged.loss if judged else None,
            score_name=judged.name if judged else "",
            num_validation=gain.n,
            gain=gain.value,
            gain_low=gain.low,
            gain_high=gain.high,
            p=gain.p,
            taken=taken,
            why=fitted.failed,
            seconds=time.perf_counter() - self.begun,
            at_seconds=self.around.seconds_since_start(),
        )
        score = f"{judged.told}, " if judged else ""
        self.around.progress.say(
            f"rung {self._name}: {score}loss of the same pictures {-gain.value:+.3f} "
            f"(p = {gain.p:.2g}, n = {gain.n}): {verdict}"
        )

    def _keep(self, standing: Climb) -> None:
        if self.around.checkpoint_path is None:
            return
        self.around.history.sync()
        counters = {**standing.counters, "events": len(self.around.history.events)}
        state = self.network.state_dict()
        Checkpoint(network=state, best={}, optimizer={}, counters=counters).write(
            self.around.checkpoint_path
        )

    @property
    def _name(self) -> str:
        return rung_name(self.planned.num_last, len(self.network.stages))


def _hope(gain: PairedGain, losses_before: np.ndarray) -> float:
    """Return the share of the loss that the rung after one that was taken may take away."""
    return HOPED * gain.value / max(float(losses_before.mean()), 1e-30)

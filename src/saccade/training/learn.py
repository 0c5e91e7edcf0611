"""How a network learns a task: a head solved on frozen features, gradient descent, or both."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from saccade.models.network import Network
from saccade.runtime.machine import give_back_pages
from saccade.training.checkpoint import Checkpoint
from saccade.training.epochs import fit_in_time
from saccade.training.frozen import Asked, FrozenStages
from saccade.training.head import Head, fit_head
from saccade.training.inputs import Pictures
from saccade.training.ladder import climb
from saccade.training.material import Material
from saccade.training.objective import class_weights_of, interval_of, judge
from saccade.training.plan import PlannedRung, first_depths
from saccade.training.probe import group_folds
from saccade.training.recipe import Recipe
from saccade.training.settle import settle
from saccade.training.surroundings import Surroundings
from saccade.training.without_effect import without_effect

VIEWS = 4  # of each picture where stages are fine-tuned as asked for, through more epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What was done to the network, and whether it was stopped on the way.

    Where its frozen stages were asked in fp32, the answers they led to are `known`: those of the
    network as it ships.
    """

    num_stages: int  # stages that learned beside the head
    interrupted: bool
    knows_something: bool = True  # False: stopped while its last layer, or all of it, was random
    frozen: FrozenStages | None = None  # None from scratch
    known: Asked | None = None


def learn(
    network: Network,
    material: Material,
    *,
    recipe: Recipe,
    pretrained: bool,
    surroundings: Surroundings,
    reserve: float = 0.0,
    resume: Checkpoint | None = None,
) -> Learned:
    """Train the network in place.

    First it is settled with which augmentations it learns. With pretrained weights the head is
    solved on the frozen features. Then the freezing ladder is climbed (`--unfreeze auto`), or the
    stages asked for are fine-tuned, which is kept only where it answers better.

    Args:
        network: with its first weights.
        material: pixels, answers and rows.
        recipe: every choice.
        pretrained: whether the weights know something.
        surroundings: who watches, and where checkpoints go.
        reserve: seconds of the budget that must be left at the end.
        resume: where learning with the same arguments stopped.
    """
    for sentence in without_effect(recipe, pretrained=pretrained):
        surroundings.note(sentence)
    if recipe.unfreeze != "0":  # else the head is solved on pictures as they are
        recipe = settle(recipe, material, surroundings)
    if not pretrained and recipe.unfreeze != "0":
        return _from_scratch(network, material, recipe, surroundings, resume, reserve)
    tried = _depths(recipe, network, surroundings)
    frozen = FrozenStages(network, material, recipe, surroundings, depths=tried)
    if not frozen.look():
        return Learned(num_stages=0, interrupted=True, knows_something=False)
    if surroundings.on_look is not None and pretrained and frozen.knows_all:
        material = surroundings.on_look(frozen.all_features())
        frozen.deal(material)
    if resume is None:
        _solve_head(network, material, frozen, recipe, surroundings)
    if tried and surroundings.asked_to_stop():  # what a checkpoint knows is loaded further on
        return Learned(num_stages=0, interrupted=True, knows_something=resume is None)
    if recipe.unfreeze == "auto" and tried:
        climbed = climb(
            network,
            material,
            frozen,
            recipe=recipe,
            surroundings=surroundings,
            reserve=reserve,
            resume=resume,
        )
        return _learned(frozen, depth=climbed.depth, interrupted=climbed.interrupted)
    if not tried:
        return _learned(frozen, depth=0, interrupted=False)
    return _fine_tune(network, material, frozen, tried[0], recipe, surroundings, resume, reserve)


def _from_scratch(
    network: Network,
    material: Material,
    recipe: Recipe,
    surroundings: Surroundings,
    resume: Checkpoint | None,
    reserve: float,
) -> Learned:
    last = len(network.stages)
    count = last if recipe.unfreeze == "auto" else _stages_asked(recipe, network, surroundings)
    if count < last:
        surroundings.note(
            f"--unfreeze {recipe.unfreeze}: of {network.name}, which begins at random, the first "
            f"{last - count} of {last} stages stay so."
        )
    network.set_stage_trainable(count)
    inputs = Pictures(material.cache, recipe, device=surroundings.device)
    network.to(surroundings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    fitted = fit_in_time(
        network,
        material,
        recipe,
        surroundings,
        inputs,
        pretrained=False,
        reserve=reserve,
        resume=resume,
    )
    return Learned(
        num_stages=count, interrupted=fitted.interrupted, knows_something=fitted.best_epoch > 0
    )


def _stages_asked(recipe: Recipe, network: Network, around: Surroundings) -> int:
    """Return how many stages a recipe lets learn: at most those there are, which is said."""
    num = len(network.stages)
    if recipe.unfreeze == "all":
        return num
    if int(recipe.unfreeze) > num:
        around.note(
            f"--unfreeze {recipe.unfreeze} was asked for, and {network.name} has {num} stages; all "
            "of them learn."
        )
    return min(int(recipe.unfreeze), num)


def _depths(recipe: Recipe, network: Network, surroundings: Surroundings) -> tuple[int, ...]:
    """Return the freezing depths that a recipe asks for from the first, beside 0.

    For a ladder the two that most climbs come to, whatever rungs are named; deeper ones, which
    cost the most and are rarely come to, are looked at when they are. Another set of cuts would
    make another engine, whose answers may differ in the last bits from those of the plan.
    """
    if recipe.unfreeze == "auto":
        return first_depths(len(network.stages))
    count = _stages_asked(recipe, network, surroundings)
    return (count,) if count else ()


def _learned(frozen: FrozenStages, *, depth: int, interrupted: bool) -> Learned:
    frozen.network.eval()
    interrupted = interrupted or not frozen.hold(depth)
    if interrupted or not frozen.exact(depth) or not frozen.knows_all:
        return Learned(num_stages=depth, interrupted=interrupted, frozen=frozen)
    return Learned(
        num_stages=depth,
        interrupted=False,
        frozen=frozen,
        known=frozen.asked(depth),
    )


def _fine_tune(
    network: Network,
    material: Material,
    frozen: FrozenStages,
    depth: int,
    recipe: Recipe,
    surroundings: Surroundings,
    resume: Checkpoint | None,
    reserve: float,
) -> Learned:
    """Train the last stages as asked for."""
    network.set_stage_trainable(depth)
    network.statistics_move = recipe.statistics != "frozen"
    views = PlannedRung(num_last=depth, epochs=1, views=recipe.views or VIEWS)
    inputs = frozen.inputs(views)
    if inputs is None:  # a checkpoint is loaded by the fit
        return Learned(num_stages=depth, interrupted=True, knows_something=resume is None)
    fitted = fit_in_time(
        network,
        material,
        recipe,
        surroundings,
        inputs,
        pretrained=True,
        reserve=reserve + frozen.seconds_to_answer(depth),
        resume=resume,
    )
    if fitted.interrupted:
        return Learned(num_stages=depth, interrupted=True)
    return _learned(frozen, depth=depth, interrupted=False)


def _solve_head(
    network: Network,
    material: Material,
    frozen: FrozenStages,
    recipe: Recipe,
    surroundings: Surroundings,
) -> None:
    """Give the network a solved head, and tell how well it does."""
    begun = time.perf_counter()
    surroundings.progress.start("solve the head")
    targets = material.targets[material.train_rows]
    groups = material.groups_of(material.train_rows)
    head = fit_head(
        frozen.features(material.train_rows),
        targets,
        task=material.task,
        seed=recipe.seed,
        class_weights=class_weights_of(targets, task=material.task, kind=recipe.class_weights),
        folds=group_folds(groups, targets, task=material.task, seed=recipe.seed),
        overwrite_features=True,
    )
    set_head(network, head)
    give_back_pages()
    rows = material.validation_rows
    logits_VK, wanted_V = frozen.logits(0, rows), material.targets[rows]
    judgement = judge(logits_VK, wanted_V, task=material.task)
    surroundings.history.add(
        "head",
        penalty=head.penalty,
        share=head.share,
        candidates=_candidates(head.candidates),
        validation_score=judgement.score,
        **interval_of(logits_VK, wanted_V, material.groups_of(rows), task=material.task),
        validation_loss=judgement.loss,
        score_name=judgement.name,
        num_validation=len(rows),
        engine=frozen.engine.name,
        open_seconds=frozen.engine.seconds_to_open,
        forward_seconds=frozen.seconds_to_forward,
        seconds=time.perf_counter() - begun,
        at_seconds=surroundings.seconds_since_start(),
    )
    surroundings.progress.close()
    if math.isfinite(judgement.score):
        surroundings.progress.say(f"head: validation loss {judgement.loss:.3f}, {judgement.told}")
    if surroundings.on_model is not None:
        surroundings.on_model(0)


def set_head(network: Network, head: Head) -> None:
    """Write a solved head into the network's last layer."""
    classifier = network.classifier
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight_KD))
        classifier.bias.copy_(torch.from_numpy(np.atleast_1d(head.bias_K)))


def _candidates(pairs: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"penalty": penalty, "loss": loss} for penalty, loss in pairs]

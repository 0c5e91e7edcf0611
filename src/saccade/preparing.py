"""What is settled before the road begins: the network, and how many pictures there is time for."""

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from saccade.data.preprocess import Preprocess
from saccade.lesson import Lesson
from saccade.models import network, weights
from saccade.models.candidates import Field, gather
from saccade.models.inference import predict_logits
from saccade.race import race
from saccade.run import Ledger
from saccade.runtime import device
from saccade.runtime.budget import Budget
from saccade.runtime.progress import Progress
from saccade.training.frozen import SECONDS_TO_CONVERT
from saccade.training.recipe import Recipe

SECONDS_TO_END = 1.5  # tables, intervals, saving, report, whatever the size: 1.3 was measured
SECONDS_A_PICTURE = 1e-3  # head, tables and report
FASTER = 0.4  # of torch's time is what an engine takes: 0.3 to 0.4 was measured
PROBES = (2, 2, 8, 32, 32, 128)
"""Pictures to measure on, in turn: few at a time take up to three times as long each as many, and
the first of a kind twice as long as the second. Two at first, for a network may be very slow."""
MOST_SECONDS = 0.8  # that the next of them may take, by those before,
MOST_AT_ONCE = 3.0  # and what the second and third of them may, for the first is no measure
FEWEST = 100  # pictures that are used whatever the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known of the network before a picture is seen."""

    device: str
    field: Field  # the networks to choose from; one where there is nothing to choose
    fetched: weights.Weights | None  # of the first of them, as is
    preprocess: Preprocess


def prepare(recipe: Recipe) -> Prepared:
    """Return device, networks, weights and preprocessing that a recipe asks for.

    Raises:
        SaccadeError: an unknown device or network, weights that cannot be had or do not fit it.
    """
    fit: Any = recipe.fit
    device_name = device.choose_device(recipe.device)
    field = gather(recipe.model, weights=recipe.weights)
    first = field.entrants[0]
    if first.weights is not None and not field.is_race:
        network.check_weights(first.name, first.weights)
    return Prepared(
        device=device_name,
        field=field,
        fetched=first.weights,
        preprocess=network.preprocess_for(first.name, img_size=recipe.img_size, fit=fit),
    )


def build(lesson: Lesson, prepared: Prepared, ledger: Ledger) -> network.Network:
    """Return the network for the lesson's classes, with its weights.

    Raises:
        ArtefactError: the weights do not fit (E501 to E505).
    """
    with ledger.timed("build"):
        net, _ = network.build(
            lesson.recipe.model,
            task=lesson.task,
            recipe=lesson.recipe,
            weights=prepared.fetched,
            img_size=lesson.recipe.img_size,
        )
    return net


def raced(
    lesson: Lesson,
    prepared: Prepared,
    ledger: Ledger,
    progress: Progress,
    budget: Budget,
    stack: ExitStack,
) -> tuple[Lesson, Prepared]:
    """Return lesson and network after the race that decides which network it is."""
    with ledger.timed("race"):
        winner, lesson = race(
            prepared.field,
            lesson,
            device_name=prepared.device,
            folder=ledger.folder,
            budget=budget,
            progress=progress,
            stack=stack,
        )
    return lesson, replace(prepared, fetched=winner.weights, preprocess=lesson.cache.preprocess)


def affordable(lesson: Lesson, prepared: Prepared, budget: Budget) -> int:
    """Return how many pictures there is time for: to ask the network once, and to end the run.

    Measured on a few of them with torch. All of them without a budget, or from scratch, where the
    epochs are what takes time.
    """
    num = len(lesson.catalog)
    if not budget.limited or prepared.fetched is None or num <= FEWEST:
        return num
    net, _ = network.build(
        prepared.field.entrants[0].name,
        task=lesson.task,
        recipe=lesson.recipe,
        weights=prepared.fetched,
        img_size=lesson.recipe.img_size,
    )
    ask = functools.partial(predict_logits, net, lesson.cache, device=prepared.device)
    each = seconds_a_picture(ask, num) * FASTER + SECONDS_A_PICTURE
    possible = int((budget.left - SECONDS_TO_END - SECONDS_TO_CONVERT) / each)
    return min(num, max(possible, FEWEST))


def seconds_a_picture(ask: Callable[[Sequence[int]], object], num: int) -> float:
    """Return how long a picture takes, as far as a second can tell.

    Args:
        ask: about the pictures with these rows.
        num: of the pictures that there are, `FEWEST` or more.
    """
    each = 0.0
    for place, probes in enumerate(PROBES):
        most = MOST_AT_ONCE if place <= 2 else MOST_SECONDS
        if probes > num or each * probes > most:
            break
        begun = time.perf_counter()
        ask(range(probes))
        taken = (time.perf_counter() - begun) / probes
        each = min(each, taken) if each else taken
    return each

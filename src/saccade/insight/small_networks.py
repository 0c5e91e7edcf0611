"""Small networks from scratch on small copies of the pictures: a comparison that takes seconds."""

import time
from dataclasses import dataclass

import numpy as np

from saccade.data.preprocess import Preprocess
from saccade.data.small_copies import SmallCopies
from saccade.insight.evidence import Evidence, NotPossible
from saccade.models import network, scratch
from saccade.models.engine import one_thread
from saccade.models.inference import predict_logits
from saccade.runtime.device import choose_device
from saccade.runtime.progress import Progress
from saccade.training.fit import fit
from saccade.training.history import History
from saccade.training.material import Material
from saccade.training.probe import draw_sample
from saccade.training.recipe import Recipe
from saccade.training.surroundings import Surroundings

SIDE_PX = 24
WIDTHS = {"mlp": (128, 64), "cnn": (8, 16, 32)}
"""Flowers, 7 epochs, two splits of 150 test pictures: 0.597; on 32 px 0.617 in half as much time
again, and there with a fourth stage of 64 channels 0.603 in twice the time."""
RATES = {"mlp": 3e-3, "cnn": 1e-2}
"""Highest learning rates; the CNN's from four stages and 11 epochs on flowers: 0.68 of 150 test
pictures at 1e-2, 0.66 at 3e-3, and with 64 pictures a step 0.57."""
PICTURES_SEEN = 5_000
"""How many pictures each is shown in all, again and again: as many as take it a few seconds."""
EPOCHS = (2, 40)  # the fewest and the most that this is made into
MOST_TAUGHT = 5_000
"""Training pictures at most, so that time does not grow with them: of 70,000 two epochs took three
minutes and more."""
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A small network that has learned, and what it says of the pictures asked about."""

    logits_TK: np.ndarray
    num_parameters: int
    seconds: float  # that it learned
    images_per_second: float
    epochs: int
    num_taught: int | None  # training pictures, where they are not all


def small_preprocess() -> Preprocess:
    """Return how the small copies are made into input."""
    return scratch.preprocess(img_size=SIDE_PX, fit="squash")


def train_small(kind: str, evidence: Evidence, copies: SmallCopies, *, ask: np.ndarray) -> Small:
    """Return a small network that learned from the training part of the small copies.

    As `saccade train --model cnn` would, with fewer channels and epochs: the same code, the
    epoch chosen by the validation part. Of many pictures a stratified sample teaches, and another
    judges. The number of steps follows from the number of pictures and not from a clock, so the
    same data give the same network.

    Args:
        kind: "mlp" or "cnn".
        evidence: the pictures' parts and answers.
        copies: of all pictures.
        ask: rows that it is asked about in the end.

    Raises:
        NotPossible: the deadline came before it had learned.
    """
    train, validation = (_some(evidence, part) for part in ("train", "validation"))
    own = _recipe(kind, evidence.recipe, num=len(train))
    device = choose_device(own.device)
    material = Material(
        cache=copies,
        targets=evidence.targets,
        train_rows=train.tolist(),
        validation_rows=validation.tolist(),
        task=evidence.task,
    )
    surroundings = Surroundings(
        device=device,
        history=History(),
        progress=Progress(),
        asked_to_stop=lambda: time.monotonic() > evidence.deadline,
    )
    with one_thread():  # steps of a few milliseconds, which two threads would only share out
        begun = time.perf_counter()
        net, _ = network.build(kind, task=evidence.task, recipe=own, img_size=SIDE_PX)
        fitted = fit(net, material, recipe=own, pretrained=False, surroundings=surroundings)
        learned = time.perf_counter()
    if fitted.interrupted:
        raise NotPossible("its time was up")
    logits_TK = predict_logits(net, copies, ask.tolist(), device=device)
    return Small(
        logits_TK=logits_TK,
        num_parameters=net.num_parameters,
        seconds=learned - begun,
        images_per_second=len(ask) / max(time.perf_counter() - learned, 1e-9),
        epochs=fitted.epochs,
        num_taught=len(train) if len(train) < len(evidence.rows("train")) else None,
    )


def _recipe(kind: str, recipe: Recipe, *, num: int) -> Recipe:
    """Return how one of them learns from `num` pictures, in a run of this recipe."""
    return Recipe(
        model=kind,
        seed=recipe.seed,
        widths=WIDTHS[kind],
        epochs=epochs_of(num),
        batch_size=BATCH,
        lr=RATES[kind],
        warmup=0.2,
        class_weights=recipe.class_weights,
        augment=False,
        device=recipe.device,
        precision=recipe.precision,
    )


def _some(evidence: Evidence, part: str) -> np.ndarray:
    """Return the rows of a part; of more than `MOST_TAUGHT` about so many of them."""
    rows = evidence.rows(part)
    if len(rows) <= MOST_TAUGHT:
        return rows
    sample = draw_sample(
        rows.tolist(), evidence.targets, evidence.split.groups,
        task=evidence.task, num=MOST_TAUGHT, seed=evidence.recipe.seed,
    )  # fmt: skip
    return rows if sample is None else np.asarray(sample.rows)


def epochs_of(num: int) -> int:
    """Return the passes over `num` training pictures that a small network makes.

    >>> epochs_of(100), epochs_of(680), epochs_of(100_000)
    (40, 7, 2)
    """
    fewest, most = EPOCHS
    return min(max(round(PICTURES_SEEN / max(num, 1)), fewest), most)

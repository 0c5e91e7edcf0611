"""How well a frozen network suits the pictures, asked about few of them: a probe of a backbone."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saccade.data.cache import PixelCache
from saccade.data.sealed import Answers
from saccade.data.stratify import strata, stratify, units_of
from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate
from saccade.models.engine import Engine
from saccade.models.inference import answers
from saccade.runtime.progress import Progress
from saccade.runtime.seeds import generator
from saccade.training import head
from saccade.training.objective import class_weights_of, estimated, picture_losses, score_name

NUM_SAMPLE = 500
"""Pictures of a probe: the interval of an accuracy of 0.9 is then ± 0.027, and much of what two
networks get wrong they get wrong together, which a paired comparison leaves out."""
FEWEST_A_CLASS = 5  # so that every fold can hold each class
PENALTIES = head.PENALTIES[4:11:2]
"""0.01 to 10 by tens: half of what a head is chosen from, in a third of the time. Flowers and
CIFAR-10 had their best at 0.1 and 0.3; this coarse grid costs them a loss of 0.000 and 0.011."""


class NotProbed(Exception):
    """A probe was not finished; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The training pictures of a probe, N of them, dealt out to folds."""

    rows: tuple[int, ...]  # of the catalogue, ascending
    targets_N: np.ndarray
    groups: tuple[str, ...]  # "" = alone
    folds_N: np.ndarray  # 0 to `head.NUM_FOLDS` - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a probe found out about one network."""

    score: Estimate  # of answers out of fold; higher is better
    score_name: str  # as in `Judgement`
    losses_N: np.ndarray  # a loss for each picture of the sample
    images_per_second: float


def draw_sample(
    rows: Sequence[int],
    targets: Answers,
    groups: Sequence[str],
    *,
    task: Task,
    num: int,
    seed: int,
) -> Sample | None:
    """Return about `num` of the rows, or all of them where they are fewer; None if too few.

    Stratified, as the split is: every class (label, tenth of the targets) has its share, and one
    picture at least. Groups are taken whole, and lie in one fold each. The same arguments give
    the same sample and the same folds.

    Args:
        rows: of the training part; nothing else may choose a network.
        targets: of all pictures; only those of the rows are read.
        groups: of all pictures; "" = alone.
        task: says what the strata are.
        num: how many pictures are wanted.
        seed: decides which.
    """
    rows_N = np.sort(np.asarray(rows, np.int64))
    strata_of = strata(task, targets[rows_N])
    own = [groups[row] for row in rows_N.tolist()]
    units = units_of(range(len(own)), own)
    if num < len(rows_N):
        share = num / len(rows_N)
        rng = generator(seed, "probe", "sample")
        shares = {"rest": 1 - share, "sample": share}
        numbers = task.kind == "regression"
        dealt = stratify(units, strata_of, fractions=shares, rng=rng, everywhere=not numbers)
        units = [unit for unit, part in zip(units, dealt, strict=True) if part == "sample"]
    if len(units) < 2 * head.NUM_FOLDS:
        return None
    fractions = {str(fold): 1 / head.NUM_FOLDS for fold in range(head.NUM_FOLDS)}
    rng = generator(seed, "probe", "folds")
    fold_of: dict[int, int] = {}
    for unit, fold in zip(
        units, stratify(units, strata_of, fractions=fractions, rng=rng), strict=True
    ):
        fold_of |= dict.fromkeys(unit, int(fold))
    own = sorted(place for unit in _thinned(units, num) for place in unit)
    drawn = rows_N[own]
    return Sample(
        rows=tuple(drawn.tolist()),
        targets_N=targets[drawn],
        groups=tuple(groups[row] for row in drawn.tolist()),
        folds_N=np.array([fold_of[place] for place in own]),
    )


def group_folds(
    groups: Sequence[str] | None, targets: np.ndarray, *, task: Task, seed: int
) -> head.Folds | None:
    """Return a fold for each picture, by which a head's penalty is chosen; None without groups.

    Pictures of a group lie in one fold: else a head is judged by pictures all but equal to those
    that it learned from, and the loosest penalty wins. Of very many pictures some groups, or some
    pictures of large ones, are dealt out; the others have -1. So have all where the groups are too
    few to choose by.

    Args:
        groups: of each picture; "" = alone. None = each is.
        targets: of the same pictures.
        task: says what the strata are.
        seed: decides the folds.
    """
    if groups is None or not any(groups):
        return None
    num = len(groups)
    most = head.MOST_TO_CHOOSE_BY
    sample = draw_sample(range(num), targets, groups, task=task, num=most, seed=seed)
    folds_N, share = np.full(num, -1, np.int64), 1.0
    if sample is not None:
        folds_N[list(sample.rows)] = sample.folds_N
        share = _num_units(sample.groups) / _num_units(groups)
    return head.Folds(of_N=folds_N, share=share)


def _thinned(units: Sequence[Sequence[int]], num: int) -> list[list[int]]:
    """Return the units with about `num` places in all, one at least of each.

    Groups are dealt out whole, so that a few large ones can be many times what was wanted. Of those
    some pictures are as good as all, for they are alike.

    >>> _thinned([[0, 1, 2, 3, 4, 5], [6]], 3)
    [[0, 5], [6]]
    """
    sizes = np.array([len(unit) for unit in units])
    most = int(sizes.max(initial=0))
    while most > 1 and np.minimum(sizes, most).sum() > max(num, len(units)) * 1.2:
        most -= max(1, most // 20)
    return [
        [unit[place] for place in np.linspace(0, len(unit) - 1, min(len(unit), most)).astype(int)]
        for unit in units
    ]


def _num_units(groups: Sequence[str]) -> int:
    return len(units_of(range(len(groups)), groups))


def num_wanted(task: Task) -> int:
    """Return how many pictures a probe should have.

    >>> num_wanted(Task(kind="multiclass", classes=tuple(map(str, range(200)))))
    1000
    """
    return max(NUM_SAMPLE, FEWEST_A_CLASS * len(task.classes))


def probe(
    engine: Engine,
    cache: PixelCache,
    sample: Sample,
    *,
    task: Task,
    class_weights: str = "none",
    progress: Progress | None = None,
    deadline: float = float("inf"),
) -> Probe:
    """Return how well heads do that are solved on a network's features, each without a fifth.

    The score only compares networks: it rests on few pictures, and a head that has more of them,
    or stages that learn, will do better.

    Args:
        engine: answers with features, (B, D).
        cache: the sample's canvases, a row each in the sample's order.
        sample: from `draw_sample`.
        task: the kind of answer.
        class_weights: as in `Recipe`.
        progress: is moved on by every picture.
        deadline: on the monotonic clock.

    Raises:
        NotProbed: the deadline has passed, or the features are not finite numbers.
    """
    found, seconds = [], []
    begun = time.perf_counter()
    for piece, features in answers(engine, cache, range(len(cache)), progress=progress):
        found.append(features.reshape(len(piece), -1))
        seconds.append((time.perf_counter() - begun) / len(piece))
        begun = time.perf_counter()
        if time.monotonic() > deadline:
            raise NotProbed("its time was up")
    features_ND = np.concatenate(found)
    if not np.isfinite(features_ND).all():
        raise NotProbed("its features are not finite numbers")
    weights = class_weights_of(sample.targets_N, task=task, kind=class_weights)
    logits_NK = head.out_of_fold(
        features_ND,
        sample.targets_N,
        sample.folds_N,
        task=task,
        class_weights=weights,
        penalties=PENALTIES,
    )
    return Probe(
        score=estimated(logits_NK, sample.targets_N, sample.groups, task=task),
        score_name=score_name(task),
        losses_N=picture_losses(logits_NK, sample.targets_N, task=task),
        # the first piece is slower, for it is the first
        images_per_second=1 / statistics.median(seconds[1:] or seconds),
    )

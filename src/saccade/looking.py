"""What studies say of data before anything is learned: a frozen network is asked, and no more."""

from collections.abc import Sequence

import numpy as np

from saccade.data.cache_folder import cache_folder
from saccade.insight.trust import Study, Trust, examine
from saccade.lesson import Lesson
from saccade.models import network
from saccade.models.engine import Engine
from saccade.models.inference import FeaturesOf, extract_features, open_engine
from saccade.models.network import Network
from saccade.models.weights import Weights, fetch
from saccade.rejoined import rejoined
from saccade.runtime import device
from saccade.runtime.progress import Progress


def look_through(
    lesson: Lesson, name: str, *, studies: Sequence[Study], progress: Progress
) -> tuple[Lesson, Trust]:
    """Return what studies that need no learning say, by the features of one frozen network.

    And the lesson with the parts that a run of this network would have (`rejoined`).

    Args:
        lesson: the data, with canvases for that network.
        name: the architecture, as in `Recipe.model`.
        studies: what to ask.
        progress: is told how far it is.

    Raises:
        UsageError: an unknown network (E210, E211).
        ResourceError, ArtefactError: weights that cannot be had, as `weights.fetch`.
    """
    weights = fetch(name, weights=lesson.recipe.weights)
    if weights is None:
        return lesson, examine(lesson.evidence(), studies, progress=progress)
    device_name = device.choose_device(lesson.recipe.device)
    with device.threads(lesson.recipe.threads):
        net, _ = network.build(name, task=lesson.task, recipe=lesson.recipe, weights=weights)
        engine = _opened(net, lesson, weights, device_name)
        rows: Sequence[int] = range(len(lesson.catalog))
        progress.start("frozen features", len(rows), "pictures")
        found = extract_features(net, lesson.cache, rows, engine=engine, progress=progress)
        progress.close()
        features_ND = found.reshape(len(found), -1)

        def ask(canvases_BHWC: np.ndarray) -> np.ndarray:
            return engine(canvases_BHWC).reshape(len(canvases_BHWC), -1)

        lesson = rejoined(lesson, features_ND, name=net.name)
        evidence = lesson.evidence(
            features_ND=features_ND, features_name=net.name, frozen_engine=ask
        )
        return lesson, examine(evidence, studies, progress=progress)


def _opened(net: Network, lesson: Lesson, weights: Weights, device_name: str) -> Engine:
    return open_engine(
        FeaturesOf(net),
        preprocess=lesson.cache.preprocess,
        device=device_name,
        num_pictures=len(lesson.catalog),
        exact=True,
        key=f"{weights.sha256}-{net.architecture}-features",
        cache_dir=cache_folder(lesson.recipe.cache),
    )

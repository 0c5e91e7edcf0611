"""How a network learns a task: a head solved on frozen features, gradient descent, or both."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from saccade.models.inference import extract_features
from saccade.models.network import Network
from saccade.training.checkpoint import Checkpoint
from saccade.training.fit import Fitted, Material, Surroundings, fit
from saccade.training.head import Head, fit_head
from saccade.training.objective import class_weights_of, judge
from saccade.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What was done to the network, and whether it was stopped on the way."""

    num_stages: int  # stages that learned beside the head
    fitted: Fitted | None  # None where only the head was solved
    interrupted: bool
    known_logits: Mapping[int, np.ndarray] = field(default_factory=dict)  # row -> logits (K,)


def stages_to_learn(recipe: Recipe, network: Network, *, pretrained: bool) -> int:
    """Return how many stages learn beside the head, counted from the end."""
    if recipe.unfreeze == "auto":
        return 0 if pretrained else len(network.stages)
    if recipe.unfreeze == "all":
        return len(network.stages)
    return min(int(recipe.unfreeze), len(network.stages))


def learn(
    network: Network,
    material: Material,
    *,
    recipe: Recipe,
    pretrained: bool,
    surroundings: Surroundings,
    resume: Checkpoint | None = None,
) -> Learned:
    """Train the network in place.

    With pretrained weights the head is solved on the frozen features first; fine-tuning then
    starts from a network that already answers well, and is kept only where it answers better.
    """
    num_stages = stages_to_learn(recipe, network, pretrained=pretrained)
    known: Mapping[int, np.ndarray] = {}
    if (pretrained or num_stages == 0) and resume is None:
        known = _solve_head(network, material, recipe, surroundings)
        if surroundings.asked_to_stop():
            return Learned(num_stages=0, fitted=None, interrupted=True)
    if num_stages == 0:
        return Learned(num_stages=0, fitted=None, interrupted=False, known_logits=known)
    network.set_stage_trainable(num_stages)
    fitted = fit(
        network,
        material,
        recipe=recipe,
        pretrained=pretrained,
        surroundings=surroundings,
        resume=resume,
    )
    return Learned(num_stages=num_stages, fitted=fitted, interrupted=fitted.interrupted)


def _solve_head(
    network: Network, material: Material, recipe: Recipe, surroundings: Surroundings
) -> Mapping[int, np.ndarray]:
    """Return the logits of all rows that features were computed of, training and validation."""
    begun = time.perf_counter()
    rows = [*material.train_rows, *material.validation_rows]
    surroundings.progress.start("frozen features", len(rows), "pictures")
    features_ND = extract_features(
        network, material.cache, rows, device=surroundings.device, progress=surroundings.progress
    )
    num = len(material.train_rows)
    surroundings.progress.start("solve the head")
    targets = material.targets[material.train_rows]
    head = fit_head(
        features_ND[:num],
        targets,
        task=material.task,
        seed=recipe.seed,
        class_weights=class_weights_of(targets, task=material.task, kind=recipe.class_weights),
    )
    set_head(network, head)
    with torch.inference_mode():
        features = torch.from_numpy(features_ND).to(surroundings.device)
        logits_NK = network.classifier(features).cpu().numpy()
    judgement = judge(
        logits_NK[num:],
        material.targets[material.validation_rows],
        task=material.task,
    )
    surroundings.history.add(
        "head",
        penalty=head.penalty,
        candidates=_candidates(head.candidates),
        validation_score=judgement.score,
        validation_loss=judgement.loss,
        score_name=judgement.name,
        num_validation=len(material.validation_rows),
        seconds=time.perf_counter() - begun,
    )
    surroundings.progress.close()
    if math.isfinite(judgement.score):
        surroundings.progress.say(
            f"head: validation loss {judgement.loss:.3f}, {judgement.name} {judgement.score:.3f}"
        )
    return dict(zip(rows, logits_NK, strict=True))


def set_head(network: Network, head: Head) -> None:
    """Write a solved head into the network's last layer."""
    classifier = network.classifier
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight_KD))
        classifier.bias.copy_(torch.from_numpy(np.atleast_1d(head.bias_K)))


def _candidates(pairs: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"penalty": penalty, "loss": loss} for penalty, loss in pairs]

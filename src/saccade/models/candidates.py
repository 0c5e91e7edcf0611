"""Which backbones a run may choose from: a short list for `auto`, or those that the user names."""

from dataclasses import dataclass

from saccade.models import backbones
from saccade.models.weights import SCRATCH, Weights, at_hand, fetch, single_file
from saccade.runtime.errors import SaccadeError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An architecture that `--model auto` may choose, and what it is there for."""

    name: str
    why: str


AUTO = (
    Candidate(
        name="mobilenetv2_100",
        why="the default: 3.5 M parameters, quick on any processor, stages that can be cut",
    ),
    Candidate(
        name="mobilenetv3_large_100",
        why="fewer FLOPs still, with squeeze-and-excitation",
    ),
    Candidate(
        name="efficientnet_b0",
        why="better on ImageNet at about the cost of the default",
    ),
    Candidate(
        name="resnet18",
        why="plain convolutions, which every processor and every tool runs well",
    ),
    Candidate(
        name="convnext_atto",
        why="a modern design as small as the default, without BatchNorm",
    ),
    Candidate(
        name="resnet50",
        why="what most papers compare with; fourteen times the arithmetic of the default",
    ),
    Candidate(
        name="convnext_tiny",
        why="learned from 12,000 kinds of things; large, and the best of the list on ImageNet",
    ),
)
"""What `--model auto` chooses from, cheap ones first; of these, only what is at hand.

Short, because each costs seconds to probe, and varied, because architectures alike would be right
and wrong about the same pictures. All weights have a free licence, also for commercial use. That
better networks on ImageNet mostly transfer better, but not always, is why they are raced at all.

Source: S. Kornblith, J. Shlens, Q. V. Le (2019), Do better ImageNet models transfer better?
"""

DEFAULT_MODEL = AUTO[0].name
"""The backbone behind `--model auto` where nothing is at hand, and nothing is to be raced."""


def first_name(asked: str) -> str:
    """Return the network whose canvases are a good guess before it is known what is at hand.

    >>> first_name("auto"), first_name("resnet50,vgg16"), first_name("cnn")
    ('mobilenetv2_100', 'resnet50', 'cnn')
    """
    return DEFAULT_MODEL if asked == "auto" else asked.split(",")[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A network that may be chosen, with the weights that were found for it."""

    name: str
    weights: Weights | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The networks that a run has to choose from; one where there is nothing to choose."""

    asked: str  # as in `Recipe.model`
    entrants: tuple[Entrant, ...]
    left_out: tuple[tuple[str, str], ...] = ()  # names, and why their weights cannot be used

    @property
    def is_race(self) -> bool:
        """Whether there is more than one."""
        return len(self.entrants) > 1


def gather(asked: str, *, weights: str = "auto") -> Field:
    """Return what `--model` leaves to choose from, weights found and checked.

    `auto` enters those of `AUTO` whose weights are at hand, and never downloads several networks
    unasked: where nothing is at hand, the default is fetched. Several names with commas between
    are entered as they are, and each is fetched. Anything else is the one network it names.

    Args:
        asked: as in `Recipe.model`.
        weights: as in `weights.fetch`.

    Raises:
        UsageError: a name that cannot race (E219), or as `weights.fetch`.
        ResourceError, ArtefactError: as `weights.fetch`; under `auto` only if nothing is left.
    """
    if "," in asked:
        return _named(asked, weights=weights)
    if asked != "auto":
        return Field(asked=asked, entrants=(_entrant(asked, weights),))
    own = [c.name for c in AUTO if weights != "none" and at_hand(c.name, weights=weights)]
    entrants: list[Entrant] = []
    left_out: list[tuple[str, str]] = []
    for name in own:
        try:
            entrants.append(_entrant(name, weights))
        except SaccadeError as error:
            if len(own) == 1:
                raise
            left_out.append((name, error.message))
    if not entrants:
        entrants = [_entrant(DEFAULT_MODEL, weights)]
    return Field(asked=asked, entrants=tuple(entrants), left_out=tuple(left_out))


def _named(asked: str, *, weights: str) -> Field:
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if own := [name for name in names if name in SCRATCH]:
        raise _refused(f"{own[0]} learns from scratch, and a race is between pretrained networks.")
    if weights == "none":
        raise _refused("A race is between pretrained networks, but --weights is none.")
    first: dict[tuple[str, str], str] = {}  # one name for the same weights
    for backbone in map(backbones.find, names):
        first.setdefault((backbone.architecture, backbone.tag), backbone.name)
    if not first:
        raise _refused("--model names no network.")
    if len(first) > 1 and (file := single_file(weights)):
        raise _refused(f"{len(first)} networks are to race, but {file} is one file of weights.")
    return Field(asked=asked, entrants=tuple(_entrant(name, weights) for name in first.values()))


def _refused(message: str) -> UsageError:
    return UsageError(
        message,
        code="219",
        where="--model",
        fix="name one network, or several of timm's, with --weights FOLDER if they are not to be "
        "downloaded",
    )


def _entrant(name: str, weights: str) -> Entrant:
    return Entrant(name=name, weights=fetch(name, weights=weights))

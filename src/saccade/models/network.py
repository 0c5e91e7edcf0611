"""The network of a run: stages that can be frozen, and a classifier at the end."""

import contextlib
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

from saccade.data.preprocess import Fit, Preprocess
from saccade.models import classifier, late_dynamo, scratch, stages
from saccade.models.blank import Blank
from saccade.models.scratch import ScratchSpec
from saccade.models.stages import Stage
from saccade.models.weights import Weights, check_fit, load_into
from saccade.runtime.errors import UsageError
from saccade.runtime.seeds import generator

if TYPE_CHECKING:
    from saccade.data.task import Task


SCRATCH_PREFIX = "saccade_"  # architectures "saccade_cnn", "saccade_mlp": no name of timm's


class Choices(Protocol):
    """What a recipe says about the network; `training.recipe.Recipe` is one."""

    @property
    def seed(self) -> int: ...  # noqa: D102 - as in Recipe, so are the others
    @property
    def fit(self) -> str: ...  # noqa: D102
    @property
    def drop(self) -> float: ...  # noqa: D102
    @property
    def widths(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def kernel(self) -> int: ...  # noqa: D102
    @property
    def activation(self) -> str: ...  # noqa: D102
    @property
    def pooling(self) -> str: ...  # noqa: D102
    @property
    def head(self) -> str: ...  # noqa: D102
    @property
    def residual(self) -> bool: ...  # noqa: D102
    @property
    def batch_norm(self) -> bool: ...  # noqa: D102


class Network(nn.Module):
    """A timm network or one from scratch, as stages and a classifier.

    `body` is the whole network, classifier included, so that its tensors keep timm's names.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        name: str,
        architecture: str,
        classifier_name: str,
        stages: tuple[Stage, ...],
        input_px: int,
        spec: ScratchSpec | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.body = body
        self.name = name  # as the user wrote it
        self.architecture = architecture  # timm's name without tag, or saccade_cnn, saccade_mlp
        self.classifier_name = classifier_name  # dotted, inside `body`
        self.stages = stages
        self.input_px = input_px
        self.spec = spec  # None for timm's
        self.notes = notes  # sentences for the user
        self.licence = ""  # of the weights it began with
        self.statistics_move = True  # of BatchNorm in stages that learn; set before train()
        self._num_trainable_stages = len(stages)

    @property
    def classifier(self) -> nn.Linear:
        """The last layer, features (B, D) to logits (B, K)."""
        return cast("nn.Linear", self.body.get_submodule(self.classifier_name))

    @property
    def num_features(self) -> int:
        """Width D of the classifier's input."""
        return self.classifier.in_features

    @property
    def num_outputs(self) -> int:
        """Number K of logits."""
        return self.classifier.out_features

    @property
    def num_parameters(self) -> int:
        """All parameters, the classifier's included."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def num_trainable(self) -> int:
        """The parameters that learn at the present freezing depth."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.body(images_BCHW)
        return logits

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Return what the classifier is given, (B, D); without dropout when in eval mode."""
        return self.features_and_logits(images_BCHW)[0]

    def features_and_logits(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the classifier is given, (B, D), and what it answers, (B, K), in one pass."""
        taken: list[Tensor] = []

        def take(_layer: nn.Module, given: tuple[Any, ...]) -> None:
            taken.append(given[0].flatten(1))

        handle = self.classifier.register_forward_pre_hook(take)
        try:
            logits: Tensor = self.body(images_BCHW)
        finally:
            handle.remove()
        return taken[-1], logits

    def set_stage_trainable(self, n_last: int) -> None:
        """Let the classifier and the last `n_last` stages learn, and freeze all before them.

        Frozen stages keep their parameters and their BatchNorm statistics, and have no dropout,
        also in train mode.

        Raises:
            UsageError: there are not so many stages (E216).
        """
        if not 0 <= n_last <= len(self.stages):
            raise UsageError(
                f"--unfreeze is {n_last}, but {self.name} has {len(self.stages)} stages.",
                code="216",
                where="--unfreeze",
                fix=f"give 0 to {len(self.stages)}, or all",
            )
        self._num_trainable_stages = n_last
        first = len(self.stages) - n_last
        for number, stage in enumerate(self.stages):
            for parameter in stage.parameters:
                parameter.requires_grad_(number >= first)
        self.train(self.training)

    @property
    def num_trainable_stages(self) -> int:
        """Stages beside the classifier that learn, counted from the end."""
        return self._num_trainable_stages

    def train(self, mode: bool = True) -> "Network":
        """Switch to training or evaluation; frozen stages stay in evaluation."""
        super().train(mode)
        if mode:
            for stage in self.stages[: len(self.stages) - self._num_trainable_stages]:
                for module in stage.modules:
                    module.training = False
            if not self.statistics_move:
                for layer in self.modules():
                    if isinstance(layer, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the only common parent
                        layer.training = False
        return self


def preprocess_for(name: str, *, img_size: int, fit: Fit) -> Preprocess:
    """Return the preprocessing that a network needs, without building it.

    Raises:
        UsageError: as `build`.
    """
    if scratch.is_scratch(name):
        return scratch.preprocess(img_size=img_size, fit=fit)
    from saccade.models import backbones  # noqa: PLC0415 - networks from scratch need no timm

    return backbones.preprocess(backbones.find(name), img_size=img_size, fit=fit)


@late_dynamo.spared()
def build(
    name: str,
    *,
    task: "Task",
    recipe: Choices,
    weights: Weights | None = None,
    img_size: int = 0,
) -> tuple[Network, Preprocess]:
    """Return a network for the task and the preprocessing that it needs.

    The same seed gives the same initial weights, whatever was drawn before. All stages learn.

    Args:
        name: a timm architecture with or without tag, or cnn or mlp.
        task: says how many outputs there are.
        recipe: seed, fit, drop, and the flags of networks from scratch.
        weights: from `weights.fetch`; None = random weights.
        img_size: side of the square input in pixels; 0 = what the weights were trained with.

    Raises:
        UsageError: unknown name (E210, E211), a size (E212, E213) or flag (E214) out of range.
        ArtefactError: weights that do not fit (E501 to E505).
    """
    fit: Any = recipe.fit
    with torch.random.fork_rng(devices=[]):
        seed = int(generator(recipe.seed, "weights").integers(2**62))
        torch.manual_seed(seed)  # inside fork_rng: nothing outside is touched
        if scratch.is_scratch(name):
            preprocess = scratch.preprocess(img_size=img_size, fit=fit)
            spec = _spec(name, task, recipe=recipe, size_px=preprocess.size_px)
            return from_spec(spec), preprocess
        return _from_timm(
            name, task=task, drop=recipe.drop, weights=weights, img_size=img_size, fit=fit
        )


def check_weights(name: str, weights: Weights) -> None:
    """Raise where weights are not those of a timm architecture, before anything is built on them.

    Raises:
        ArtefactError: they do not fit (E501 to E505).
    """
    from saccade.models import backbones  # noqa: PLC0415 - networks from scratch need no timm

    with Blank():
        network = from_backbone(backbones.find(name), num_outputs=1)
    check_fit(network.body, weights, name=name, classifier=network.classifier_name)


def _spec(name: str, task: "Task", *, recipe: Choices, size_px: int) -> ScratchSpec:
    kind: Any = name
    return ScratchSpec(
        kind=kind,
        num_outputs=task.num_outputs,
        img_size=size_px,
        widths=tuple(recipe.widths),
        kernel=recipe.kernel,
        activation=recipe.activation,
        pooling=recipe.pooling,
        head=recipe.head,
        residual=recipe.residual,
        batch_norm=recipe.batch_norm,
        drop=recipe.drop,
    )


def from_spec(spec: ScratchSpec) -> Network:
    """Return a network from scratch; random weights come from torch's generator."""
    body = scratch.build(spec)
    parts = [(f"stage{number + 1}", f"stages.{number}") for number in range(len(spec.widths))]
    return Network(
        body,
        name=spec.kind,
        architecture=f"{SCRATCH_PREFIX}{spec.kind}",
        classifier_name="classifier",
        stages=stages.cut_scratch(body, parts),
        input_px=spec.img_size,
        spec=spec,
    )


def _from_timm(
    name: str, *, task: "Task", drop: float, weights: Weights | None, img_size: int, fit: Fit
) -> tuple[Network, Preprocess]:
    from saccade.models import backbones  # noqa: PLC0415 - networks from scratch need no timm

    backbone = backbones.find(name)
    preprocess = backbones.preprocess(backbone, img_size=img_size, fit=fit)
    with Blank() if weights is not None else contextlib.nullcontext():
        network = from_backbone(
            backbone, num_outputs=task.num_outputs, drop=drop, size_px=preprocess.size_px
        )
    if weights is not None:
        network.classifier.reset_parameters()  # may be all that the weights do not replace
        network.notes = load_into(
            network.body, weights, name=name, classifier=network.classifier_name
        )
        network.licence = weights.licence
    if preprocess.size_px != backbone.input_px:
        _try_size(network)
    return network, preprocess


def _try_size(network: Network) -> None:
    """Raise where the network cannot take pictures of its `input_px` (E213)."""
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, network.input_px, network.input_px))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise UsageError(
            f"{network.name} cannot take pictures of {network.input_px} px.",
            code="213",
            where="--img-size",
            fix="choose another size, often a larger one or a multiple of 32, or leave it out",
        ) from error
    network.train()


def from_backbone(
    backbone: Any,  # noqa: ANN401 - backbones.Backbone, whose module is imported late
    *,
    num_outputs: int,
    drop: float = 0.0,
    size_px: int = 0,
) -> Network:
    """Return a timm network with random weights from torch's generator."""
    from saccade.models import backbones  # noqa: PLC0415 - networks from scratch need no timm

    body = backbones.create(backbone, num_outputs=num_outputs, drop=drop, img_size=size_px)
    named = classifier.settle(body, backbones.classifier_names(body), network=backbone.name)
    return Network(
        body,
        name=backbone.name,
        architecture=backbone.architecture,
        classifier_name=named,
        stages=stages.cut(body, classifier=named),
        input_px=size_px or backbone.input_px,
    )

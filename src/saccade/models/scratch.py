"""Networks from scratch, described by a few numbers: a convolutional and a fully connected one."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saccade.data.preprocess import Fit, Preprocess
from saccade.runtime.errors import UsageError

Kind = Literal["cnn", "mlp"]
KINDS: tuple[Kind, ...] = ("cnn", "mlp")
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
POOLINGS = ("max", "avg", "min")
HEADS = ("gap", "flatten")
DEFAULT_WIDTHS: dict[str, tuple[int, ...]] = {"cnn": (32, 64, 128), "mlp": (256, 128)}
DEFAULT_PX = 32
MAX_PX = 2048
MAX_WEIGHTS = 1_000_000_000  # 4 GB


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchSpec:
    """Everything that a network from scratch is built from.

    Raises:
        UsageError: a value is outside its range (E214).
    """

    kind: Kind
    num_outputs: int
    img_size: int = DEFAULT_PX  # side of the square input, pixels
    widths: tuple[int, ...] = ()  # channels of each stage, or neurons of each hidden layer
    kernel: int = 3  # cnn: side of the convolution kernels, odd, 1-11
    activation: str = "relu"
    pooling: str = "max"  # cnn: 2×2 after each stage
    head: str = "gap"  # cnn: global average pooling, or flatten
    residual: bool = True  # cnn: identity shortcut around each pair of convolutions
    batch_norm: bool = True
    drop: float = 0.0  # dropout before the output layer, 0-0.95

    def __post_init__(self) -> None:
        if not self.widths and self.kind in DEFAULT_WIDTHS:
            object.__setattr__(self, "widths", DEFAULT_WIDTHS[self.kind])
        _check(self)

    @property
    def num_weights(self) -> int:
        """Weights of the convolutions and fully connected layers, biases and norms left out."""
        width, side, weights = 3, self.img_size, 0
        if self.kind == "mlp":
            width *= side * side
        for num_out in self.widths:
            if self.kind == "cnn":
                weights += (width + num_out) * num_out * self.kernel**2 + width * num_out
            else:
                weights += width * num_out
            width, side = num_out, side // 2
        if self.kind == "cnn" and self.head == "flatten":
            width *= side * side
        return weights + width * self.num_outputs

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return dataclasses.asdict(self) | {"widths": list(self.widths)}


def _check(spec: ScratchSpec) -> None:
    smallest = 2 ** len(spec.widths) if spec.kind == "cnn" else 1
    widths = ",".join(map(str, spec.widths))
    sizes = f"{smallest} to {MAX_PX} pixels"
    if smallest > 1:
        sizes += f" (each of {len(spec.widths)} stages halves the picture)"
    rules: list[tuple[bool, str, object, str]] = [
        (spec.kind in KINDS, "--model", spec.kind, "cnn or mlp"),
        (1 <= spec.num_outputs <= 100_000, "outputs", spec.num_outputs, "1 to 100,000"),
        (1 <= len(spec.widths) <= 12, "--widths", widths, "1 to 12 numbers"),
        (all(1 <= w <= 8192 for w in spec.widths), "--widths", widths, "numbers from 1 to 8192"),
        (spec.kernel in range(1, 12, 2), "--kernel", spec.kernel, "an odd number from 1 to 11"),
        (spec.activation in ACTIVATIONS, "--activation", spec.activation, ", ".join(ACTIVATIONS)),
        (spec.pooling in POOLINGS, "--pooling", spec.pooling, ", ".join(POOLINGS)),
        (spec.head in HEADS, "--head", spec.head, ", ".join(HEADS)),
        (0 <= spec.drop <= 0.95, "--drop", spec.drop, "0 to 0.95"),
        (smallest <= spec.img_size <= MAX_PX, "--img-size", spec.img_size, sizes),
    ]
    for is_right, flag, met, expected in rules:
        if not is_right:
            raise UsageError(
                f"{flag} is {met}, but must be {expected}.",
                code="214",
                where=f"the network from scratch, {spec.kind}",
                fix=f"set {flag} to a value in that range",
            )
    if spec.num_weights > MAX_WEIGHTS:
        raise UsageError(
            f"The network would have {spec.num_weights / 1e6:,.0f} million weights; "
            f"{MAX_WEIGHTS / 1e6:,.0f} million are the most.",
            code="214",
            where=f"the network from scratch, {spec.kind}",
            fix="make --widths, --kernel or --img-size smaller, or take --head gap",
        )


class MinPool2d(nn.Module):
    """The smallest value of each 2×2 window."""

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps of half the side, (B, C, H // 2, W // 2)."""
        return -nn.functional.max_pool2d(-maps_BCHW, 2)


class ConvStage(nn.Module):
    """Two convolutions, a shortcut around them where asked for, and a 2×2 pooling."""

    def __init__(self, num_in: int, num_out: int, *, spec: ScratchSpec) -> None:
        super().__init__()
        padding = spec.kernel // 2
        bias = not spec.batch_norm
        activation = ACTIVATIONS[spec.activation]
        self.conv1 = nn.Conv2d(num_in, num_out, spec.kernel, padding=padding, bias=bias)
        self.bn1 = nn.BatchNorm2d(num_out) if spec.batch_norm else nn.Identity()
        self.act1 = activation()
        self.conv2 = nn.Conv2d(num_out, num_out, spec.kernel, padding=padding, bias=bias)
        self.bn2 = nn.BatchNorm2d(num_out) if spec.batch_norm else nn.Identity()
        self.shortcut: nn.Module | None = None
        if spec.residual:
            same = num_in == num_out
            self.shortcut = nn.Identity() if same else nn.Conv2d(num_in, num_out, 1, bias=bias)
        self.act2 = activation()
        pools = {"max": nn.MaxPool2d(2), "avg": nn.AvgPool2d(2), "min": MinPool2d()}
        self.pool = pools[spec.pooling]

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps of half the side and of this stage's width."""
        inner = self.act1(self.bn1(self.conv1(maps_BCHW)))
        inner = self.bn2(self.conv2(inner))
        if self.shortcut is not None:
            inner = inner + self.shortcut(maps_BCHW)
        maps: Tensor = self.pool(self.act2(inner))
        return maps


class DenseStage(nn.Module):
    """One hidden layer."""

    def __init__(self, num_in: int, num_out: int, *, spec: ScratchSpec) -> None:
        super().__init__()
        self.fc = nn.Linear(num_in, num_out, bias=not spec.batch_norm)
        self.bn = nn.BatchNorm1d(num_out) if spec.batch_norm else nn.Identity()
        self.act = ACTIVATIONS[spec.activation]()

    def forward(self, features_BD: Tensor) -> Tensor:
        """Return this layer's activations, (B, width)."""
        activations: Tensor = self.act(self.bn(self.fc(features_BD)))
        return activations


class ScratchNetwork(nn.Module):
    """A small CNN or MLP; the last layer is `classifier`.

    The random weights are drawn from torch's generator: seed it before.
    """

    def __init__(self, spec: ScratchSpec) -> None:
        super().__init__()
        self.spec = spec
        side, width = spec.img_size, 3
        stages: list[nn.Module] = []
        if spec.kind == "mlp":
            self.before: nn.Module = nn.Flatten()
            width *= side * side
        else:
            self.before = nn.Identity()
        for num_out in spec.widths:
            stage = ConvStage if spec.kind == "cnn" else DenseStage
            stages.append(stage(width, num_out, spec=spec))
            width, side = num_out, side // 2
        self.stages = nn.ModuleList(stages)
        self.pool: nn.Module = nn.Identity()
        self.flatten: nn.Module = nn.Identity() if spec.kind == "mlp" else nn.Flatten()
        if spec.kind == "cnn" and spec.head == "gap":
            self.pool = nn.AdaptiveAvgPool2d(1)
        elif spec.kind == "cnn":
            width *= side * side
        self.drop = nn.Dropout(spec.drop)
        self.classifier = nn.Linear(width, spec.num_outputs)
        initialise(self, activation=spec.activation)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K)."""
        maps = self.before(images_BCHW)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.drop(self.flatten(self.pool(maps))))
        return logits


def initialise(network: nn.Module, *, activation: str) -> None:
    """Draw weights so that signals neither die out nor blow up on their way.

    He's normal distribution for the ReLU family; Glorot's uniform one for tanh (gain 5/3) and
    sigmoid (gain 4, for its slope at 0 is 1/4). The output layer starts near 0 (as in
    torchvision's VGG), so that the first loss is that of a guess. Where a shortcut is added, both
    sides start with half the variance.

    Source: He et al. (2015), arXiv:1502.01852; Glorot and Bengio (2010), AISTATS.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        if layer is layers[-1]:
            nn.init.normal_(layer.weight, std=0.01)
        elif activation in {"tanh", "sigmoid"}:
            gain = 4.0 if activation == "sigmoid" else 5 / 3
            nn.init.xavier_uniform_(layer.weight, gain=gain)
        else:
            slope = 0.01 if activation == "leaky_relu" else 0.0
            nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    for stage in network.modules():
        if isinstance(stage, ConvStage) and stage.shortcut is not None:
            halve_variance(stage.bn2 if isinstance(stage.bn2, nn.BatchNorm2d) else stage.conv2)
            halve_variance(stage.shortcut)


def halve_variance(layer: nn.Module) -> None:
    """Scale a layer's weights by √½, so that two such outputs add up to the variance of one."""
    if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
        layer.weight.data.mul_(0.5**0.5)


def preprocess(*, img_size: int, fit: Fit) -> Preprocess:
    """Return the preprocessing of networks from scratch: 32 px where nothing is asked for.

    Pixels are centred at 0.5 and divided by 0.25, about what natural pictures have: nothing is
    known about the user's before training, and a mean taken from them would have to be stored.
    """
    return Preprocess(
        size_px=img_size or DEFAULT_PX,
        fit=fit,
        crop_fraction=1.0,
        interpolation="bilinear",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


def is_scratch(name: str) -> bool:
    """Return whether `name` is one of ours rather than a timm architecture.

    >>> is_scratch("cnn"), is_scratch("resnet18")
    (True, False)
    """
    return name in KINDS


def build(spec: ScratchSpec) -> ScratchNetwork:
    """Return the network of a specification, with random weights from torch's generator."""
    with torch.no_grad():
        return ScratchNetwork(spec)

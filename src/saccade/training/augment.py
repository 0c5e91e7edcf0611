"""Pictures changed in ways that must not change their class, on whole batches.

What happens to a picture is a function of (seed, epoch, picture) alone: neither the batch it
travels in nor where training was interrupted matters. All geometric changes are one resampling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F

from saccade.data.preprocess import Preprocess
from saccade.runtime.seeds import generator
from saccade.training.recipe import Recipe

_DRAWS = 12  # random numbers a picture, always drawn, so that switching one off moves no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """The six families, each with its range; 0 switches one off."""

    rotate: float = 0.0  # degrees, ±
    zoom: float = 0.0  # factor within 1 ± this
    shift: float = 0.0  # share of the side, ±
    hflip: float = 0.0  # probability
    vflip: float = 0.0  # probability
    brightness: float = 0.0  # factor within 1 ± this
    contrast: float = 0.0  # factor within 1 ± this
    noise: float = 0.0  # standard deviation up to this share of the full range

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        return any(getattr(self, field.name) > 0 for field in fields(self))

    def only(self, *names: str) -> "Augment":
        """Return a copy in which nothing but the named ones is on; for previews and tests."""
        return Augment(**{name: getattr(self, name) for name in names})


def augment_of(recipe: Recipe) -> Augment:
    """Return the recipe's augmentation; all zero when it is switched off."""
    if not recipe.augment:
        return Augment()
    return Augment(
        rotate=recipe.rotate,
        zoom=recipe.zoom,
        shift=recipe.shift,
        hflip=recipe.hflip,
        vflip=recipe.vflip,
        brightness=recipe.brightness,
        contrast=recipe.contrast,
        noise=recipe.noise,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What will happen to B pictures; every field is an array (B,)."""

    angle: np.ndarray  # radians
    scale: np.ndarray  # above 1 the object grows
    shift_x: np.ndarray  # share of the side
    shift_y: np.ndarray
    mirror_x: np.ndarray  # 1 or -1
    mirror_y: np.ndarray
    brightness: np.ndarray  # factor
    contrast: np.ndarray  # factor
    noise: np.ndarray  # standard deviation, 0-255
    corner: np.ndarray  # (B, 2) in 0-1: where this picture's noise begins in the bank


def still(num: int, **changes: np.ndarray | float) -> Draw:
    """Return a draw in which nothing happens to `num` pictures, but for the fields named."""
    zeros, ones = np.zeros(num), np.ones(num)
    fields_of = {
        "angle": zeros, "scale": ones, "shift_x": zeros, "shift_y": zeros, "mirror_x": ones,
        "mirror_y": ones, "brightness": ones, "contrast": ones, "noise": zeros,
        "corner": np.zeros((num, 2)),
    }  # fmt: skip
    given = {name: np.broadcast_to(v, fields_of[name].shape) for name, v in changes.items()}
    return Draw(**{**fields_of, **given})


def draw(augment: Augment, rows: Sequence[int] | np.ndarray, *, seed: int, epoch: int) -> Draw:
    """Return what happens to the pictures `rows` in this epoch."""
    uniform = np.stack([generator(seed, "augment", epoch, int(row)).random(_DRAWS) for row in rows])
    signed = 2 * uniform - 1
    return Draw(
        angle=signed[:, 0] * math.radians(augment.rotate),
        # Uniform in the logarithm, so that growing and shrinking are equally likely.
        scale=np.exp(signed[:, 1] * -math.log(1 - augment.zoom)),
        shift_x=signed[:, 2] * augment.shift,
        shift_y=signed[:, 3] * augment.shift,
        mirror_x=np.where(uniform[:, 4] < augment.hflip, -1.0, 1.0),
        mirror_y=np.where(uniform[:, 5] < augment.vflip, -1.0, 1.0),
        brightness=1 + signed[:, 6] * augment.brightness,
        contrast=1 + signed[:, 7] * augment.contrast,
        noise=uniform[:, 8] * augment.noise * 255,
        corner=np.stack([uniform[:, 9], uniform[:, 10]], axis=1),
    )


class Augmenter:
    """Applies an `Augment` to canvases; holds the bank that noise is cut from.

    Noise is cut from one bank of independent normal numbers at a random corner, instead of being
    drawn anew: 40 × faster on CPU, and within one picture still independent.
    """

    def __init__(self, augment: Augment, preprocess: Preprocess, *, seed: int, device: str) -> None:
        self.augment = augment
        self.preprocess = preprocess
        self._seed = seed
        self._device = device
        side = 2 * preprocess.size_px
        bank = generator(seed, "noise").standard_normal((3, side, side), dtype=np.float32)
        self._bank = torch.from_numpy(bank).to(device)

    def __call__(
        self, canvases_BHWC: np.ndarray, rows: Sequence[int] | np.ndarray, *, epoch: int
    ) -> torch.Tensor:
        """Return pixels_BHWC, float32 in 0-255, of the network's input size."""
        return self.apply(canvases_BHWC, draw(self.augment, rows, seed=self._seed, epoch=epoch))

    def apply(self, canvases_BHWC: np.ndarray, what: Draw) -> torch.Tensor:
        """Return pixels_BHWC as a call does, with what happens to each picture given."""
        images = torch.from_numpy(canvases_BHWC).to(self._device).permute(0, 3, 1, 2).float()
        images = self._light(self._move(images, what), what)
        return images.clamp_(0, 255).permute(0, 2, 3, 1)

    def _move(self, images_BCHW: torch.Tensor, what: Draw) -> torch.Tensor:
        size, canvas = self.preprocess.size_px, images_BCHW.shape[-1]
        grid = _grid(what, size=size, canvas=canvas).to(self._device)
        return F.grid_sample(
            images_BCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    def _light(self, images_BCHW: torch.Tensor, what: Draw) -> torch.Tensor:
        factor = self._column(what.brightness)
        contrast = self._column(what.contrast)
        mean = images_BCHW.mean(dim=(1, 2, 3), keepdim=True) * factor
        images = (images_BCHW * factor - mean) * contrast + mean
        if not what.noise.any():
            return images
        size = self.preprocess.size_px
        corners = (what.corner * size).astype(np.int64)
        noise = torch.stack([self._bank[:, y : y + size, x : x + size] for y, x in corners])
        return images + noise * self._column(what.noise)

    def _column(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self._device).view(-1, 1, 1, 1)


def in_canvases(
    canvases_BHWC: np.ndarray, pixels_BHWC: torch.Tensor, preprocess: Preprocess
) -> np.ndarray:
    """Return copies of canvases, uint8, whose centre, which the network sees, are these pixels."""
    changed = canvases_BHWC.copy()
    preprocess.centre(changed)[:] = pixels_BHWC.round().byte().cpu().numpy()
    return changed


def _grid(what: Draw, *, size: int, canvas: int) -> torch.Tensor:
    """Return where each output pixel is read from: (B, size, size, 2) in -1…1 of the canvas.

    Output coordinates are turned by the angle, divided by the scale, mirrored and moved; a
    canvas larger than the input leaves a border from which shifts and turns are filled.
    """
    share = size / canvas / what.scale
    cos, sin = np.cos(what.angle) * share, np.sin(what.angle) * share
    move = size / canvas * 2
    theta = np.stack(
        [
            np.stack([cos * what.mirror_x, -sin * what.mirror_y, what.shift_x * move], axis=1),
            np.stack([sin * what.mirror_x, cos * what.mirror_y, what.shift_y * move], axis=1),
        ],
        axis=1,
    )
    shape = [len(what.angle), 1, size, size]
    return F.affine_grid(torch.from_numpy(theta.astype(np.float32)), shape, align_corners=False)


def preview(
    augment: Augment, canvas_HWC: np.ndarray, preprocess: Preprocess, *, seed: int, views: int = 6
) -> list[tuple[str, list[np.ndarray]]]:
    """Return what each family, and all together, do to one picture.

    Rows of (caption, pictures), pictures uint8 (size, size, 3): the first as the network sees it
    unchanged, then `views` random versions.
    """
    families = {
        f"rotation ±{augment.rotate:g}°": ("rotate",),
        f"scaling and cropping ×{1 - augment.zoom:.2f}–{1 / (1 - augment.zoom):.2f}": ("zoom",),
        f"translation ±{augment.shift:.0%}": ("shift",),
        f"flips: horizontal {augment.hflip:.0%}, vertical {augment.vflip:.0%}": ("hflip", "vflip"),
        f"brightness ±{augment.brightness:.0%}, contrast ±{augment.contrast:.0%}": (
            "brightness",
            "contrast",
        ),
        f"Gaussian noise up to {augment.noise:.1%}": ("noise",),
        "all together": tuple(field.name for field in fields(augment)),
    }
    plain = preprocess.centre(canvas_HWC[None])[0]
    rows = []
    for caption, names in families.items():
        part = augment.only(*names)
        if not part.active:
            rows.append((f"{caption}: off", [plain]))
            continue
        augmenter = Augmenter(part, preprocess, seed=seed, device="cpu")
        stack = np.repeat(canvas_HWC[None], views, axis=0)
        changed = augmenter(stack, range(views), epoch=1).round().byte().numpy()
        rows.append((caption, [plain, *changed]))
    return rows

"""Pictures as a camera, a compressor or chance may spoil them: seeded, on whole batches.

What happens to a picture is a function of (seed, picture, strength) alone. Its direction is drawn
once, so that a stronger shift goes the same way as a weaker one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from saccade.data.decode import decode
from saccade.data.encode import encode_jpeg
from saccade.data.preprocess import Preprocess
from saccade.runtime.seeds import generator
from saccade.training.augment import Augment, Augmenter, Draw, in_canvases, still


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A way in which pictures may differ from those that were learned from."""

    name: str
    strengths: tuple[float, ...]  # ascending
    neutral: float  # the strength at which nothing happens
    unit: str  # of a strength: "side" (share of it), "degrees", "factor", "range", "quality", ""

    @property
    def strongest(self) -> float:
        """The strength that is farthest from doing nothing."""
        return max(self.strengths, key=lambda strength: abs(strength - self.neutral))


DISTURBANCES = (
    Disturbance(name="shift", strengths=(1 / 32, 1 / 16, 1 / 8), neutral=0.0, unit="side"),
    Disturbance(name="rotation", strengths=(10.0, 30.0), neutral=0.0, unit="degrees"),
    Disturbance(name="scale", strengths=(0.7, 1.4), neutral=1.0, unit="factor"),
    Disturbance(name="brightness", strengths=(0.5, 1.5), neutral=1.0, unit="factor"),
    Disturbance(name="contrast", strengths=(0.4, 1.6), neutral=1.0, unit="factor"),
    Disturbance(name="noise", strengths=(0.04, 0.1), neutral=0.0, unit="range"),
    Disturbance(name="blur", strengths=(0.008, 0.016), neutral=0.0, unit="side"),
    Disturbance(name="jpeg", strengths=(10.0, 30.0), neutral=100.0, unit="quality"),
    Disturbance(name="hflip", strengths=(1.0,), neutral=0.0, unit=""),
    Disturbance(name="vflip", strengths=(1.0,), neutral=0.0, unit=""),
)
"""Beyond what the default augmentation does, and such that a person still knows the picture.

Source: the kinds are those of D. Hendrycks, T. Dietterich (2019), Benchmarking neural network
robustness to common corruptions and perturbations; shifts as in A. Azulay, Y. Weiss (2019), Why do
deep convolutional networks generalize so poorly to small image transformations?
"""

LEAST_BLUR_PX = 0.5  # less would leave the pixels of a small input as they are
_RADIUS = 3  # standard deviations of the blur that are kept: the rest weighs 0.3 %


class Disturber:
    """Disturbs canvases.

    Args:
        preprocess: what the network sees of a canvas.
        seed: of directions and noise.
    """

    def __init__(self, preprocess: Preprocess, *, seed: int) -> None:
        self.preprocess = preprocess
        self._seed = seed
        self._augmenter = Augmenter(Augment(), preprocess, seed=seed, device="cpu")

    def __call__(
        self,
        canvases_BHWC: np.ndarray,
        rows: Sequence[int] | np.ndarray,
        *,
        name: str,
        strength: float,
    ) -> np.ndarray:
        """Return disturbed canvases, uint8 of the same shape; those given stay as they are.

        Geometry, light and noise change the centre, which is what the network sees. What comes
        into view lies on the canvas' rim, and beyond that is mirrored.

        Args:
            canvases_BHWC: uint8.
            rows: of the catalogue; decide directions and noise.
            name: of one of `DISTURBANCES`.
            strength: in its unit. shift: share of the input's side, in one of four directions and
                in whole pixels, one at least. rotation: degrees, either way. scale: above 1 the
                object grows. brightness, contrast: factors. noise: standard deviation as a share
                of the full range. blur: standard deviation of a Gaussian as a share of the input's
                side, half a pixel at least. jpeg: quality, 1-100. Flips: 1.
        """
        if name == "blur":
            sigma_px = max(strength * self.preprocess.size_px, LEAST_BLUR_PX)
            return blurred(canvases_BHWC, sigma_px=sigma_px)
        if name == "jpeg":
            return np.stack([_through_jpeg(one, round(strength)) for one in canvases_BHWC])
        what = self._draw(rows, name, strength)
        pixels = self._augmenter.apply(canvases_BHWC, what)
        return in_canvases(canvases_BHWC, pixels, self.preprocess)

    def _draw(self, rows: Sequence[int] | np.ndarray, name: str, strength: float) -> Draw:
        chance = np.stack([generator(self._seed, "disturb", int(row)).random(3) for row in rows])
        sign = np.where(chance[:, 0] < 0.5, -1.0, 1.0)
        changes: dict[str, Callable[[], dict[str, np.ndarray | float]]] = {
            "shift": lambda: self._shifted(chance[:, 0], strength),
            "rotation": lambda: {"angle": sign * math.radians(strength)},
            "scale": lambda: {"scale": strength},
            "brightness": lambda: {"brightness": strength},
            "contrast": lambda: {"contrast": strength},
            "noise": lambda: {"noise": strength * 255, "corner": chance[:, 1:]},
            "hflip": lambda: {"mirror_x": -1.0},
            "vflip": lambda: {"mirror_y": -1.0},
        }
        return still(len(rows), **changes[name]())

    def _shifted(self, chance_B: np.ndarray, strength: float) -> dict[str, np.ndarray | float]:
        """Whole pixels, so that nothing is resampled: what is measured is the place alone."""
        size = self.preprocess.size_px
        share = max(1, round(strength * size)) / size
        towards = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])[(chance_B * 4).astype(np.int64)]
        return {"shift_x": towards[:, 0] * share, "shift_y": towards[:, 1] * share}


def blurred(pixels_BHWC: np.ndarray, *, sigma_px: float) -> np.ndarray:
    """Return pictures, uint8, convolved with a Gaussian; the borders are mirrored.

    Args:
        pixels_BHWC: uint8.
        sigma_px: standard deviation in pixels; 0 = nothing happens.
    """
    side = min(pixels_BHWC.shape[1:3])
    radius = min(math.ceil(_RADIUS * sigma_px), side - 1)
    if radius < 1:
        return pixels_BHWC.copy()
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma_px) ** 2)
    kernel = (weights / weights.sum()).expand(3, 1, -1)
    images = torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).float()
    images = F.pad(images, [radius] * 4, mode="reflect")
    images = F.conv2d(images, kernel[:, :, None, :], groups=3)
    images = F.conv2d(images, kernel[:, :, :, None], groups=3)
    changed: np.ndarray = images.clamp_(0, 255).round().byte().permute(0, 2, 3, 1).numpy()
    return changed


def _through_jpeg(pixels_HWC: np.ndarray, quality: int) -> np.ndarray:
    return decode(encode_jpeg(pixels_HWC, quality=quality)).pixels_HWC

"""One preprocessing for training, test, prediction and the shipped model."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["crop", "pad", "squash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """From a picture of any size to the network's input, as the backbone's own data say."""

    size_px: int  # side of the square input
    fit: Fit = "crop"
    crop_fraction: float = 1.0  # timm's crop_pct: size_px / resized shorter side
    interpolation: str = "bicubic"  # nearest, bilinear, bicubic, lanczos
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of pixels in 0…1, RGB
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

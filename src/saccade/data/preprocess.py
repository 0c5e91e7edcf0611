"""One preprocessing for training, test, prediction and the shipped model."""

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from saccade.data import decode

Fit = Literal["crop", "pad", "squash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """From a picture of any size to the network's input, as the backbone's own data say.

    `to_canvas` is done once a picture and can be cached; `centre` and normalisation are done on
    batches. Together they equal timm's evaluation transform on a Pillow image, up to the rounding
    of single pixels (`decode.resize`): crop is its "center" mode; pad and squash are its "border"
    and "squash" with crop_pct 1.
    """

    size_px: int  # side of the square input
    fit: Fit = "crop"
    crop_fraction: float = 1.0  # timm's crop_pct: size_px / resized shorter side
    interpolation: str = "bicubic"  # nearest, bilinear, bicubic, lanczos
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # of pixels in 0…1, RGB
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def canvas_px(self) -> int:
        """Side of the square that is kept of each picture: the input and, for crop, its rim.

        Rounded down, as timm does.
        """
        if self.fit == "crop":
            return math.floor(self.size_px / self.crop_fraction)
        return self.size_px

    @property
    def canvas_bytes(self) -> int:
        """Bytes of a canvas, uint8 RGB."""
        return self.canvas_px**2 * 3

    @property
    def canvas_key(self) -> str:
        """A digest of all that decides how a picture becomes a canvas, 16 hexadecimal digits.

        Mean and spread are not among it, but for the mean that fills the bars of pad.
        """
        ground = _ground(self.mean) if self.fit == "pad" else ()
        parts = (self.canvas_px, self.size_px, self.fit, self.interpolation, *ground)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def to_canvas(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture as a square of `canvas_px`, uint8 (canvas, canvas, 3).

        Crop: the shorter side is resized to `canvas_px` and the middle is kept. Pad: the longer
        side is resized and the rest filled with the mean colour. Squash: both sides are resized.
        """
        if self.fit == "crop":
            return self._cropped(pixels_HWC)
        if self.fit == "pad":
            return self._padded(pixels_HWC)
        side = self.canvas_px
        return decode.resize(pixels_HWC, size_hw=(side, side), interpolation=self.interpolation)

    def centre(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the central `size_px` square of canvases, a view of shape (B, size, size, 3)."""
        offset = _centre_offset(self.canvas_px, self.size_px)
        end = offset + self.size_px
        return pixels_BHWC[:, offset:end, offset:end]

    def normalise(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network is given: float32 (B, 3, H, W), (pixel / 255 - mean) / std."""
        scaled = pixels_BHWC.astype(np.float32) / np.float32(255)
        mean = np.asarray(self.mean, dtype=np.float32)
        std = np.asarray(self.std, dtype=np.float32)
        return np.ascontiguousarray(((scaled - mean) / std).transpose(0, 3, 1, 2))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Preprocess":
        """Return what `as_dict` was called on."""
        return cls(
            size_px=int(fields["size_px"]),
            fit=fields["fit"],
            crop_fraction=float(fields["crop_fraction"]),
            interpolation=str(fields["interpolation"]),
            mean=_three(fields["mean"]),
            std=_three(fields["std"]),
        )

    def _cropped(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels_HWC.shape[:2]
        canvas = self.canvas_px
        if height <= width:
            size_hw = (canvas, int(canvas * width / height))
        else:
            size_hw = (int(canvas * height / width), canvas)
        top, left = (self._crop_offset(side) for side in size_hw)
        down, across = height / size_hw[0], width / size_hw[1]
        right, bottom = (left + canvas) * across, (top + canvas) * down
        return decode.resize(  # only what is seen
            pixels_HWC,
            size_hw=(canvas, canvas),
            interpolation=self.interpolation,
            box=(left * across, top * down, min(right, width), min(bottom, height)),
        )

    def _crop_offset(self, side_px: int) -> int:
        """Return where the canvas begins, such that its own centre is the picture's centre crop.

        Two centre crops, each rounded, can lie one pixel beside a single one; the first makes up
        for the rounding of the second.
        """
        return _centre_offset(side_px, self.size_px) - _centre_offset(self.canvas_px, self.size_px)

    def _padded(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels_HWC.shape[:2]
        side = self.canvas_px
        ratio = max(height / side, width / side)
        size_hw = (max(round(height / ratio), 1), max(round(width / ratio), 1))
        resized = decode.resize(pixels_HWC, size_hw=size_hw, interpolation=self.interpolation)
        canvas = np.empty((side, side, 3), dtype=np.uint8)
        canvas[:] = _ground(self.mean)
        top, left = ((side - own) // 2 for own in size_hw)
        canvas[top : top + size_hw[0], left : left + size_hw[1]] = resized
        return canvas


def _ground(mean: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(round(255 * value) for value in mean)


def _centre_offset(side_px: int, size_px: int) -> int:
    return round((side_px - size_px) / 2.0)


def _three(values: Any) -> tuple[float, float, float]:  # noqa: ANN401 - from JSON
    first, second, third = (float(value) for value in values)
    return first, second, third

"""The quick filters give Pillow's pixels, row pass first, on any shape and in any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images

from saccade.data import decode, resample

cykooz = pytest.importorskip("cykooz_resizer", reason="no wheel for this machine")

PILLOWS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
MAX_APART, MAX_MEAN_APART = 3, 0.3  # RELIABILITY A7, as for decoders


def by_pillow(pixels_HWC: np.ndarray, size_hw: tuple[int, int], interpolation: str) -> np.ndarray:
    """Two calls, so that the order of the passes is that of no version of Pillow's own."""
    image, kind = Image.fromarray(pixels_HWC), PILLOWS[interpolation]
    across = image.resize((size_hw[1], image.height), kind)
    return np.asarray(across.resize((size_hw[1], size_hw[0]), kind)).astype(int)


def black_and_white(height: int, width: int) -> np.ndarray:
    """Noise in which every overshoot of a filter is cut off: the order of passes is seen."""
    rng = np.random.default_rng(height * 1000 + width)
    return (rng.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)


@pytest.mark.parametrize("interpolation", PILLOWS)
@pytest.mark.parametrize("side", [17, 96, 256, 331])
def test_photographs_and_noise_are_pillows(interpolation: str, side: int) -> None:
    pictures = [*load_sample_images().images, black_and_white(640, 310), black_and_white(31, 64)]
    for pixels in pictures:
        height, width = pixels.shape[:2]
        size_hw = (side, max(side * width // height, 1))
        wanted = by_pillow(pixels, size_hw, interpolation)
        seen = decode.resize(pixels, size_hw=size_hw, interpolation=interpolation)
        assert seen.shape == (*size_hw, 3)
        assert np.abs(seen - wanted).max() <= MAX_APART
        assert np.abs(seen - wanted).mean() <= MAX_MEAN_APART


def test_the_other_order_of_passes_is_far_from_it_negative_control() -> None:
    pixels = black_and_white(640, 310)
    wanted = by_pillow(pixels, (256, 124), "lanczos")
    turned = decode.resize(
        pixels.transpose(1, 0, 2), size_hw=(124, 256), interpolation="lanczos"
    ).transpose(1, 0, 2)
    assert np.abs(turned - wanted).max() > MAX_APART


@pytest.mark.parametrize("interpolation", PILLOWS)
def test_a_piece_is_what_the_whole_has_there(interpolation: str) -> None:
    photo = load_sample_images().images[0]
    whole = decode.resize(photo, size_hw=(200, 320), interpolation=interpolation).astype(int)
    down, across = photo.shape[0] / 200, photo.shape[1] / 320
    piece = decode.resize(
        photo,
        size_hw=(90, 100),
        interpolation=interpolation,
        box=(50 * across, 60 * down, 150 * across, 150 * down),
    )
    assert np.abs(piece - whole[60:150, 50:150]).max() <= 1
    assert (piece != whole[60:150, 50:150]).mean() < 0.02


@given(
    side_in=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    side_out=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(max_examples=300, deadline=None)
def test_any_piece_of_any_shape_is_pillows(
    side_in: tuple[int, int], side_out: tuple[int, int], corners: tuple[float, ...]
) -> None:
    pixels = np.random.default_rng(side_in[0] * 91 + side_in[1]).integers(
        0, 256, (*side_in, 3), dtype=np.uint8
    )
    (left, right), (top, bottom) = sorted(corners[:2]), sorted(corners[2:])
    if min(right - left, bottom - top) < 0.05:
        left, right, top, bottom = 0, 1, 0, 1
    (height, width) = side_in
    box = (left * width, top * height, right * width, bottom * height)
    seen = decode.resize(pixels, size_hw=side_out, interpolation="bicubic", box=box)
    image = Image.fromarray(pixels).resize(
        (side_out[1], height), Image.Resampling.BICUBIC, box=(box[0], 0, box[2], height)
    )
    wanted = image.resize(
        (side_out[1], side_out[0]), Image.Resampling.BICUBIC, box=(0, box[1], side_out[1], box[3])
    )
    assert np.abs(seen - np.asarray(wanted).astype(int)).max() <= MAX_APART


def test_every_processor_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = load_sample_images().images[1]
    first = decode.resize(photo, size_hw=(224, 335), interpolation="bicubic")
    plain = cykooz.Resizer()
    plain.cpu_extensions = cykooz.CpuExtensions.none
    monkeypatch.setattr(resample._OWN, "resizer", plain)
    assert plain.cpu_extensions is cykooz.CpuExtensions.none
    np.testing.assert_array_equal(
        decode.resize(photo, size_hw=(224, 335), interpolation="bicubic"), first
    )


def test_threads_do_not_meet() -> None:
    pictures = [black_and_white(50 + step, 61) for step in range(40)]

    def small(pixels: np.ndarray) -> np.ndarray:
        return decode.resize(pixels, size_hw=(32, 20), interpolation="bicubic")

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(small, pictures))
    for pixels, seen in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(seen, small(pixels))


def test_without_it_pillow_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = black_and_white(120, 90)
    quick = decode.resize(pixels, size_hw=(40, 30), interpolation="bicubic").astype(int)
    monkeypatch.setattr(resample, "cykooz", None)
    assert not resample.can("bicubic")
    slow = decode.resize(pixels, size_hw=(40, 30), interpolation="bicubic")
    np.testing.assert_array_equal(slow, by_pillow(pixels, (40, 30), "bicubic"))
    assert np.abs(quick - slow).max() <= MAX_APART

"""Pictures like photographs, and copies of them as they come about: for tests of leaks."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("exact", "re-encoded", "cropped", "mirrored")


def texture(seed: int, *, width: int = 96, height: int = 72) -> np.ndarray:
    """Return a picture whose spectrum falls off as that of photographs, uint8 (H, W, 3).

    Amplitude as 1/frequency. Source: D. J. Field (1987), Relations between the statistics of
    natural images and the response properties of cortical cells, JOSA A 4: 2379-2394.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width)
    frequency[0, 0] = np.inf
    layers = [
        np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) / frequency, (height, width))
        for _ in range(3)
    ]
    mixed = np.stack([layers[0], 0.8 * layers[0] + layers[1] / 3, 0.8 * layers[0] + layers[2] / 3])
    mixed /= mixed.std()
    return np.clip(128 + 45 * mixed, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def jpeg(pixels_HWC: np.ndarray, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copy_of(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Return a picture file that shows the same: as row A12 of the scoreboard plants them.

    exact: the same bytes. re-encoded: JPEG quality 50-90. cropped: by 5 % of each side, anywhere,
    or (every other time) resized to 60-140 %. mirrored: left and right.
    """
    if kind == "exact":
        return content
    image = Image.open(io.BytesIO(content)).convert("RGB")
    width, height = image.size
    if kind == "re-encoded":
        return jpeg(np.asarray(image), int(rng.integers(50, 91)))
    if kind == "mirrored":
        return jpeg(np.asarray(image)[:, ::-1])
    if rng.integers(2):
        factor = rng.uniform(0.6, 1.4)
        size = (int(width * factor), int(height * factor))
        return jpeg(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    wide, high = int(width * 0.95), int(height * 0.95)
    left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return jpeg(np.asarray(image)[top : top + high, left : left + wide])


def plant(root: Path, *, num: int, seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Plant `num` copies of each kind of pictures below root/train into root/val.

    Each copy goes beside pictures of the class of its source. Returned are the pairs of paths,
    relative to `root`, by kind.
    """
    rng = np.random.default_rng(seed)
    sources = sorted(path for path in (root / "train").rglob("*") if path.is_file())
    drawn = rng.permutation(len(sources))[: num * len(KINDS)]
    pairs: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for place, number in enumerate(drawn.tolist()):
        source, kind = sources[number], KINDS[place % len(KINDS)]
        target = root / "val" / source.parent.name / f"planted-{place:03}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(copy_of(source.read_bytes(), kind, rng))
        names = (source.relative_to(root).as_posix(), target.relative_to(root).as_posix())
        pairs[kind].append(names)
    return pairs

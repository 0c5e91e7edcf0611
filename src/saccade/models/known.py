"""What the networks that people choose most often want to see, known without loading timm.

So pictures can be decoded while torch and timm are still being imported, which takes as long as
decoding a thousand of them. A test compares every line with timm; a run compares its own, and
looks again where timm says otherwise.
"""

from saccade.data.preprocess import Fit, Preprocess

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

KNOWN: dict[str, tuple[int, float, str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "mobilenetv2_100": (224, 0.875, "bicubic", _IMAGENET),
    "mobilenetv3_large_100": (224, 0.875, "bicubic", _IMAGENET),
    "mobilenetv3_small_100": (224, 0.875, "bicubic", _IMAGENET),
    "efficientnet_b0": (224, 0.875, "bicubic", _IMAGENET),
    "resnet18": (224, 0.95, "bicubic", _IMAGENET),
    "resnet34": (224, 0.95, "bicubic", _IMAGENET),
    "resnet50": (224, 0.95, "bicubic", _IMAGENET),
    "resnet50.a1_in1k": (224, 0.95, "bicubic", _IMAGENET),
    "resnet101": (224, 0.95, "bicubic", _IMAGENET),
    "resnet152": (224, 0.95, "bicubic", _IMAGENET),
    "densenet121": (224, 0.875, "bicubic", _IMAGENET),
    "convnext_tiny": (224, 0.95, "bicubic", _IMAGENET),
    "vgg16": (224, 0.875, "bilinear", _IMAGENET),
    "inception_v3": (299, 0.875, "bicubic", _HALF),
    "xception": (299, 0.8975, "bicubic", _HALF),
}
"""Name: input side in pixels, share that the centre crop keeps, filter, mean and deviation."""


def known_preprocess(name: str, *, img_size: int, fit: Fit) -> Preprocess | None:
    """Return the preprocessing of a well-known network; None for any other.

    >>> known_preprocess("vgg16", img_size=0, fit="crop").canvas_px
    256
    """
    if name not in KNOWN:
        return None
    size_px, crop_fraction, interpolation, (mean, std) = KNOWN[name]
    return Preprocess(
        size_px=img_size or size_px,
        fit=fit,
        crop_fraction=crop_fraction,
        interpolation=interpolation,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )

import copy
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from saccade.data.batches import as_seen
from saccade.data.preprocess import Preprocess
from saccade.models import converted, engine, inference, kept
from saccade.models.inference import (
    FeaturesOf,
    answers,
    extract_features,
    open_engine,
    predict_logits,
)
from saccade.models.network import Network

LIGHT = ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_byobnet", "cnn"]
HEAVY = [
    "mobilenetv2_100",
    "resnet18",
    "resnet50",
    "vgg16",
    "inception_v3",
    "xception",
    "densenet121",
    "efficientnet_b0",
    "convnext_atto",
    "regnety_002",
    "mobilenetv3_small_050",
    "resnetv2_18",
    "xcit_nano_12_p16_224",
]
MANY = 10_000  # pictures: enough for whatever pays only for many

Open = Callable[..., engine.Engine]


def unsettle(network: nn.Module) -> None:
    """Give BatchNorms statistics, scales and shifts as training would; timm's are 0 and 1."""
    draws = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=draws)
            module.running_var.uniform_(0.5, 1.5, generator=draws)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=draws)
                module.bias.normal_(0, 0.2, generator=draws)


def canvases(preprocess: Preprocess, num: int = 5) -> np.ndarray:
    side = preprocess.canvas_px
    return np.random.default_rng(3).integers(0, 256, (num, side, side, 3), dtype=np.uint8)


def as_torch_says(network: nn.Module, pixels: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Return what the network says, asked plainly: the second source of every comparison."""
    with torch.no_grad():
        found: np.ndarray = network(as_seen(pixels, preprocess, "cpu")).numpy()
        return found


class Held:
    """Canvases in memory, asked for as a PixelCache is."""

    def __init__(self, canvases_NHWC: np.ndarray, preprocess: Preprocess) -> None:
        self.canvases_NHWC = canvases_NHWC
        self.preprocess = preprocess

    def canvases(self, rows: Any) -> np.ndarray:
        return self.canvases_NHWC[np.asarray(rows)]


@pytest.fixture
def small(build: Callable[..., tuple[Network, Preprocess]]) -> tuple[Network, Preprocess]:
    network, preprocess = build("test_resnet", img_size=64)
    unsettle(network)
    return network.eval(), preprocess


@pytest.fixture
def open_small(small: tuple[Network, Preprocess]) -> Open:
    network, preprocess = small

    def make(**changed: Any) -> engine.Engine:
        choices = {"device": "cpu", "num_pictures": MANY, "exact": True, **changed}
        ask = choices.pop("ask", network)
        return open_engine(ask, preprocess=preprocess, **choices)

    return make


def held_to_torch(name: str, build: Callable[..., tuple[Network, Preprocess]]) -> list[str]:
    network, preprocess = build(name)
    unsettle(network)
    network.eval()
    pixels = canvases(preprocess, 3)
    names = []
    for kind in ("openvino", "torch"):
        for ask in (network, FeaturesOf(network)):
            opened = open_engine(
                ask,
                preprocess=preprocess,
                device="cpu",
                num_pictures=MANY,
                kind=kind,  # type: ignore[arg-type]
                exact=True,
            )
            expected = as_torch_says(ask, pixels, preprocess)
            assert opened.notes == ()
            assert opened.relative_error <= 1e-4
            assert engine.relative_error(opened(pixels), expected) <= 1e-4
            names.append(opened.name)
    return names


@pytest.mark.parametrize("name", LIGHT)
def test_engines_say_what_torch_says(
    name: str, build: Callable[..., tuple[Network, Preprocess]]
) -> None:
    names = held_to_torch(name, build)
    assert names[:2] == ["openvino fp32"] * 2
    folds = name in {"test_resnet", "test_efficientnet", "test_byobnet", "cnn"}
    assert names[2:] == ["torch fp32 fused" if folds else "torch fp32"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_engines_of_large_networks_say_what_torch_says(
    name: str, build: Callable[..., tuple[Network, Preprocess]]
) -> None:
    assert held_to_torch(name, build)[:2] == ["openvino fp32"] * 2


def test_the_canvas_is_cropped_and_normalised_within_the_engine(open_small: Open) -> None:
    preprocess = Preprocess(size_px=64, crop_fraction=0.8, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 1))
    assert preprocess.canvas_px == 80
    pixels = canvases(preprocess)
    for kind in ("openvino", "torch"):
        opened = open_engine(
            nn.AdaptiveAvgPool2d(2),
            preprocess=preprocess,
            device="cpu",
            num_pictures=MANY,
            kind=kind,  # type: ignore[arg-type]
            exact=True,
        )
        expected = as_torch_says(nn.AdaptiveAvgPool2d(2), pixels, preprocess)
        assert opened(pixels).shape == (5, 3, 2, 2)
        np.testing.assert_allclose(opened(pixels), expected, rtol=1e-5, atol=1e-6)


def test_a_picture_has_the_same_answer_alone_and_in_any_batch_with_any_number_of_threads(
    open_small: Open, small: tuple[Network, Preprocess]
) -> None:
    pixels = canvases(small[1], 7)
    together = open_small()(pixels)
    try:
        torch.set_num_threads(3)
        opened = open_small()
        assert opened.batch == 48
        alone = np.concatenate([opened(pixels[row : row + 1]) for row in range(7)])
    finally:
        torch.set_num_threads(1)
    assert np.array_equal(alone, together)
    assert np.array_equal(opened(pixels[::-1]), together[::-1])


def test_torch_gives_the_same_answers_with_any_number_of_threads(
    open_small: Open, small: tuple[Network, Preprocess]
) -> None:
    pixels = canvases(small[1], 30)
    ask = FeaturesOf(small[0])  # its hooks would meet if threads shared the modules
    expected = open_small(ask=ask, kind="torch")(pixels)
    try:
        torch.set_num_threads(4)
        opened = open_small(ask=ask, kind="torch")
        for _ in range(5):
            assert np.array_equal(opened(pixels), expected)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("num_pictures", "is_there", "name"),
    [
        (inference.WORTH_CONVERTING, True, "openvino fp32"),
        (inference.WORTH_CONVERTING - 1, True, "torch fp32 fused"),
        (inference.WORTH_CONVERTING, False, "torch fp32 fused"),
        (inference.WORTH_FUSING - 1, True, "torch fp32"),
    ],
)
def test_the_engine_is_chosen_by_the_number_of_pictures_and_what_is_installed(
    num_pictures: int,
    is_there: bool,
    name: str,
    open_small: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(converted, "installed", lambda: is_there)
    opened = open_small(num_pictures=num_pictures)
    assert opened.name == name
    told = num_pictures >= inference.WORTH_CONVERTING and not is_there
    assert [note.endswith("is not installed.") for note in opened.notes] == [True] * told


def test_where_bf16_answers_differ_too_much_fp32_is_used_and_a_note_says_so(
    open_small: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "has_bf16", lambda: True)
    monkeypatch.setattr(inference, "MAX_ERROR_BF16", -1.0)
    opened = open_small(exact=False)
    assert opened.name == "openvino fp32"
    (note,) = opened.notes
    assert note.startswith("Answers in bf16 differ by ")


def test_openvino_is_not_asked_for_another_device(
    open_small: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_open_openvino", lambda *_, **__: pytest.fail("opened"))
    assert open_small(device="meta", num_pictures=1).name == "torch fp32"
    assert open_small(device="meta", num_pictures=1, kind="openvino").name == "torch fp32"


def test_where_openvino_cannot_be_loaded_torch_answers_and_a_note_says_why(
    open_small: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    opened = open_small(kind="openvino")
    assert opened.name == "torch fp32 fused"
    assert opened.notes == (
        "torch computes what is frozen, OpenVINO does not: OpenVINO cannot be loaded (import of "
        "openvino halted; None in sys.modules).",
    )


def test_a_network_that_cannot_be_converted_is_asked_by_torch_and_a_note_says_why(
    small: tuple[Network, Preprocess], open_small: Open
) -> None:
    class Unusual(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(images.mean(1) + images.mean(1).mT)

    opened = open_small(ask=Unusual())
    assert opened.name == "torch fp32"
    assert opened.notes == (
        "torch computes what is frozen, OpenVINO does not: OpConversionFailure: No conversion rule "
        "found for operations: aten::linalg_eigvalsh, aten::mT.",
    )


def test_an_engine_that_answers_otherwise_is_refused(
    open_small: Open, small: tuple[Network, Preprocess], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = converted.Converted.__call__

    def wrong(self: converted.Converted, pixels_BHWC: np.ndarray) -> np.ndarray:
        return right(self, pixels_BHWC) * np.float32(1.0003)

    monkeypatch.setattr(converted.Converted, "__call__", wrong)
    opened = open_small()
    assert opened.name == "torch fp32 fused"
    assert opened.notes == (
        "torch computes what is frozen, OpenVINO does not: its answers would differ by 3.0e-04 of "
        "the largest.",
    )
    monkeypatch.setattr(inference, "MAX_ERROR", 1e-3)  # the guard off: it would have been taken
    pixels = canvases(small[1])
    expected = as_torch_says(small[0], pixels, small[1])
    assert engine.relative_error(open_small()(pixels), expected) > 1e-4


@pytest.mark.parametrize(("side", "together"), [(32, 8), (96, 4), (128, 2), (224, 1)])
def test_small_pictures_are_asked_together(side: int, together: int) -> None:
    assert inference._together(Preprocess(size_px=side, crop_fraction=0.875)) == together


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_network_that_was_traced_for_one_picture_is_asked_one_at_a_time(
    open_small: Open, small: tuple[Network, Preprocess], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneByOne(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.reshape(int(images.shape[0]), -1)[:, 1000:1007]

    pixels = canvases(small[1])
    opened = open_small(ask=OneByOne())
    assert (opened.name, opened.ask._together) == ("openvino fp32", 1)
    expected = as_torch_says(OneByOne(), pixels, small[1])
    np.testing.assert_allclose(opened(pixels), expected, atol=1e-5)
    monkeypatch.setattr(inference, "MAX_ERROR", 1e9)  # the guard off: it would be asked together
    assert open_small(ask=OneByOne()).ask._together == 8


def test_what_is_tested_or_shipped_is_never_computed_in_bf16(
    open_small: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for = []
    right = converted.Converted.__init__

    def noted(self: converted.Converted, content: bytes, *, bf16: bool, **facts: int) -> None:
        asked_for.append(bf16)
        right(self, content, bf16=bf16, **facts)

    monkeypatch.setattr(converted.Converted, "__init__", noted)
    monkeypatch.setattr(inference, "has_bf16", lambda: True)
    assert open_small(exact=True).name == "openvino fp32"
    assert asked_for == [False]
    assert open_small(exact=False).name == "openvino bf16"
    assert asked_for == [False, True]


def test_an_engine_keeps_the_weights_it_was_opened_with(
    open_small: Open, small: tuple[Network, Preprocess]
) -> None:
    network, preprocess = small
    ask = copy.deepcopy(network)
    pixels = canvases(preprocess)
    for kind in ("openvino", "torch"):
        opened = open_small(ask=ask, kind=kind)
        before = opened(pixels)
        with torch.no_grad():
            for parameter in ask.parameters():
                parameter.mul_(1.5)
        assert np.array_equal(opened(pixels), before)


class TestKept:
    def content(self, folder: Path) -> list[Path]:
        return sorted((folder / "engines").glob("*"))

    def test_a_network_with_a_key_is_converted_once_and_answers_the_same(
        self, open_small: Open, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pixels = canvases(small[1])
        first = open_small(key="weights", cache_dir=tmp_path)(pixels)
        assert len(self.content(tmp_path)) == 1
        monkeypatch.setattr(converted, "convert", lambda *_: pytest.fail("converted again"))
        assert np.array_equal(open_small(key="weights", cache_dir=tmp_path)(pixels), first)

    def test_another_key_size_or_version_is_another_network(self, monkeypatch: Any) -> None:
        facts = {"preprocess": {"size_px": 64}}
        own = kept.key_of("weights", **facts)
        assert own == kept.key_of("weights", **facts)
        others = {kept.key_of("others", **facts), kept.key_of("weights", preprocess={})}
        monkeypatch.setattr(kept.metadata, "version", lambda _name: "99")
        assert len({own, *others, kept.key_of("weights", **facts)}) == 4

    def test_nothing_is_kept_without_a_key(self, open_small: Open, tmp_path: Path) -> None:
        open_small(cache_dir=tmp_path)
        assert self.content(tmp_path) == []

    def test_a_damaged_file_is_made_anew(
        self, open_small: Open, small: Any, tmp_path: Path
    ) -> None:
        expected = open_small(key="weights", cache_dir=tmp_path)(canvases(small[1]))
        (path,) = self.content(tmp_path)
        for place in (3, 50, -5):  # in the format, in the hash, in the weights
            whole = path.read_bytes()
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place:][1:])
            assert not converted.is_whole(path.read_bytes())
            opened = open_small(key="weights", cache_dir=tmp_path)
            assert converted.is_whole(path.read_bytes())
            assert np.array_equal(opened(canvases(small[1])), expected)

    def test_where_the_disk_refuses_it_answers_come_all_the_same(
        self, open_small: Open, tmp_path: Path
    ) -> None:
        (tmp_path / "engines").write_text("a file where the folder should be")
        opened = open_small(key="weights", cache_dir=tmp_path)
        assert opened.name == "openvino fp32"
        assert opened.notes[0].startswith("The converted network is not kept for the next time: ")

    def test_those_used_last_are_kept_up_to_a_size(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept, "MAX_BYTES", 100)
        for number, size in enumerate([40, 10, 40]):
            path = tmp_path / f"{number}.engine"
            kept.content(path, lambda size=size: b"." * size)  # type: ignore[misc]
            os.utime(path, (number, number))
        kept.content(tmp_path / "new.engine", lambda: b"." * 45)
        kept.content(tmp_path / "huge.engine", lambda: b"." * 101)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"1.engine", "2.engine", "new.engine"}


class TestManyPictures:
    def test_answers_come_in_the_order_of_the_rows(
        self, small: tuple[Network, Preprocess], open_small: Open
    ) -> None:
        network, preprocess = small
        held = Held(canvases(preprocess, 40), preprocess)
        rows = np.random.default_rng(0).permutation(40)[:37]
        expected = as_torch_says(network, held.canvases(rows), preprocess)
        for opened in (None, open_small(), open_small(kind="torch")):
            found = predict_logits(network, held, rows, engine=opened)  # type: ignore[arg-type]
            assert engine.relative_error(found, expected) <= 1e-4
        pieces = [rows_ for rows_, _ in answers(open_small(), held, rows)]  # type: ignore[arg-type]
        assert [len(piece) for piece in pieces] == [16, 16, 5]
        assert np.array_equal(np.concatenate(pieces), rows)

    def test_features_times_the_head_are_the_logits(
        self, small: tuple[Network, Preprocess], open_small: Open
    ) -> None:
        network, preprocess = small
        held: Any = Held(canvases(preprocess, 6), preprocess)
        opened = open_small(ask=FeaturesOf(network))
        features = extract_features(network, held, range(6), engine=opened)
        with torch.no_grad():
            logits = network.classifier(torch.from_numpy(features)).numpy()
        assert engine.relative_error(logits, predict_logits(network, held, range(6))) <= 1e-4

    def test_no_pictures_have_no_answers(self, small: tuple[Network, Preprocess]) -> None:
        held: Any = Held(canvases(small[1]), small[1])
        assert predict_logits(small[0], held, []).shape == (0, 0)

    def test_a_network_that_was_learning_goes_on_learning(
        self, small: tuple[Network, Preprocess]
    ) -> None:
        held: Any = Held(canvases(small[1]), small[1])
        small[0].train()
        predict_logits(small[0], held, [0])
        assert small[0].training
        assert small[0].body.training

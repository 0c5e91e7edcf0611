"""The strongest thing that an expert would write in an afternoon with timm and torch alone.

Every picture is decoded once, small, in threads, and kept in memory; the frozen network is asked
once and a head is learned on its answers; then all layers learn from there with AdamW and one
cycle of the rate, the head's ten times the body's, BatchNorm statistics kept. channels_last
throughout, bf16 where the processor computes in it. The rates are those that saccade's own
`--unfreeze all` found good (docs/log.md); nothing was searched on pictures of val.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import sched_getaffinity
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from protocol import MODEL, around, parser, tell, write_answers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.transforms import v2

BATCH = 32
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
CORES = len(sched_getaffinity(0))
BF16 = {"avx512_bf16", "amx_bf16"} & set(Path("/proc/cpuinfo").read_text("utf-8").split())


def main() -> None:
    """Learn the head, then everything; write what the last epoch says."""
    words = parser(__doc__)
    words.add_argument("--epochs", type=int, default=4)
    words.add_argument("--lr", type=float, default=1e-4, help="of the body; the head ten times")
    asked = words.parse_args()
    torch.manual_seed(asked.seed)
    torch.set_num_threads(CORES)
    classes = sorted(own.name for own in (asked.data / "train").iterdir() if own.is_dir())
    _, pixels, labels = _load(asked.data / "train", classes, side=around(asked.size))
    files, val_pixels, val_labels = _load(asked.data / "val", classes, side=around(asked.size))
    overlay = {"file": str(asked.weights)}
    model = timm.create_model(
        MODEL, pretrained=True, num_classes=len(classes), pretrained_cfg_overlay=overlay
    ).to(memory_format=torch.channels_last)

    def validate(kind: str) -> Tensor:
        answers = _ask(model, val_pixels, model, crop=asked.size).argmax(dim=1)
        right = (answers == val_labels).float().mean().item()
        tell(kind, started=asked.started, accuracy=right)
        return answers

    _warm_start(model, _ask(model, pixels, _pooled(model), crop=asked.size), labels)
    answers = validate("epoch")
    total = asked.epochs * math.ceil(len(labels) / BATCH)
    head = list(model.get_classifier().parameters())
    body = [own for own in model.parameters() if not any(own is other for other in head)]
    rates = [asked.lr, 10 * asked.lr]
    optimizer = torch.optim.AdamW([{"params": body}, {"params": head}], weight_decay=0.01)
    crop = v2.RandomResizedCrop(asked.size, (0.35, 1.0))
    augment = v2.Compose([crop, v2.RandomHorizontalFlip()])
    rise = max(0.25, 2 / total)  # at least two steps, which only a handful of pictures has not
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total, pct_start=rise)
    for epoch in range(asked.epochs):
        _let_learn(model)
        for rows in torch.randperm(len(labels)).split(BATCH):
            images = _images(torch.stack([augment(own) for own in pixels[rows]]))
            _step(model, images, labels[rows], optimizer)
            cycle.step()
        answers = validate("final" if epoch + 1 == asked.epochs else "epoch")
    write_answers(
        asked.output, {name: classes[own] for name, own in zip(files, answers, strict=True)}
    )


def _load(folder: Path, classes: list[str], *, side: int) -> tuple[list[str], Tensor, Tensor]:
    """Return names, pixels uint8 (N, 3, side, side) and labels of all pictures of a part."""
    paths = sorted(own for own in folder.glob("*/*") if own.suffix.lower() in SUFFIXES)
    with ThreadPoolExecutor(CORES) as pool:
        pixels = torch.from_numpy(np.stack(list(pool.map(partial(_decode, side=side), paths))))
    labels = torch.tensor([classes.index(own.parent.name) for own in paths])
    return [str(own.relative_to(folder)) for own in paths], pixels.permute(0, 3, 1, 2), labels


def _decode(path: Path, *, side: int) -> np.ndarray:
    with Image.open(path) as picture:
        picture.draft("RGB", (side, side))  # JPEG: decoded at a fraction of its size
        picture = picture.convert("RGB")
    scale = side / min(picture.size)
    picture = picture.resize([max(side, round(own * scale)) for own in picture.size])
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def _images(pixels: Tensor) -> Tensor:
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    return ((pixels / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def _pooled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda images: model.forward_head(model.forward_features(images), pre_logits=True)


def _ask(model: nn.Module, pixels: Tensor, ask: Callable[[Tensor], Tensor], *, crop: int) -> Tensor:
    """Return what `ask` says of the centre of every picture."""
    model.eval()
    edge = (pixels.shape[-1] - crop) // 2
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bool(BF16)):
        batches = pixels[:, :, edge : edge + crop, edge : edge + crop].split(BATCH)
        return torch.cat([ask(_images(own)).float() for own in batches])


def _let_learn(model: nn.Module) -> None:
    model.train()
    for own in model.modules():
        if isinstance(own, nn.BatchNorm2d):
            own.eval()  # with few pictures, statistics of batches of 32 are mostly noise


def _step(
    model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bool(BF16)):
        loss = cross_entropy(model(images), labels, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _warm_start(model: nn.Module, features: Tensor, labels: Tensor) -> None:
    """Solve the last layer on the answers of the frozen network: penalised logistic regression."""
    features, head = features.clone(), model.get_classifier()
    for own in head.parameters():
        nn.init.zeros_(own)  # timm begins with large random weights, which would stay as noise
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = cross_entropy(head(features), labels) + 0.01 * head.weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)


if __name__ == "__main__":
    main()

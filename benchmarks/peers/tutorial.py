"""The PyTorch tutorial "Transfer Learning for Computer Vision", on the weights given.

Its own choices, kept as it documents them: RandomResizedCrop and flip for training, Resize 256 and
CenterCrop 224 for validation, batches of 4, four loading processes, SGD 0.001 with momentum 0.9, a
tenth of the rate every 7 epochs, and the weights of the epoch with the best validation accuracy.
`--frozen` is its "ConvNet as fixed feature extractor" (BatchNorm statistics move there too),
otherwise "finetuning the ConvNet". Ours: the backbone, 5 epochs instead of 25, a seed.

Source: https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
"""

import copy
from pathlib import Path

import timm
import torch
from protocol import MODEL, around, parser, tell, write_answers
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

PARTS = ("train", "val")
NORMALISE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def main() -> None:
    """Train, and write the answers of the best epoch."""
    words = parser(__doc__)
    words.add_argument("--frozen", action="store_true")
    words.add_argument("--epochs", type=int, default=5)
    asked = words.parse_args()
    torch.manual_seed(asked.seed)
    folders = {part: _folder(asked.data, part, asked.size) for part in PARTS}
    loaders = {
        # The tutorial shuffles both parts; the order of validation changes nothing but the names.
        part: DataLoader(folder, batch_size=4, shuffle=part == "train", num_workers=4)
        for part, folder in folders.items()
    }
    model = _model(asked.weights, len(folders["train"].classes), frozen=asked.frozen)
    learning = [own for own in model.parameters() if own.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best, best_answers, best_state = -1.0, [], {}
    for _ in range(asked.epochs):
        _train(model, loaders["train"], optimizer)
        scheduler.step()
        accuracy, answers = _validate(model, loaders["val"])
        tell("epoch", started=asked.started, accuracy=accuracy)
        if accuracy > best:
            best, best_answers = accuracy, answers
            best_state = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    names = [Path(path).relative_to(asked.data / "val") for path, _ in folders["val"].samples]
    labels = [folders["train"].classes[own] for own in best_answers]
    write_answers(asked.output, {str(n): own for n, own in zip(names, labels, strict=True)})
    tell("final", started=asked.started, accuracy=best)


def _folder(data: Path, part: str, size: int) -> datasets.ImageFolder:
    own = {
        "train": [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()],
        "val": [transforms.Resize(around(size)), transforms.CenterCrop(size)],
    }[part]
    steps = [*own, transforms.ToTensor(), NORMALISE]
    return datasets.ImageFolder(data / part, transforms.Compose(steps))


def _model(weights: Path, num_classes: int, *, frozen: bool) -> nn.Module:
    overlay = {"file": str(weights)}
    model = timm.create_model(MODEL, pretrained=True, pretrained_cfg_overlay=overlay)
    if frozen:
        for own in model.parameters():
            own.requires_grad = False
    model.classifier = nn.Linear(model.classifier.in_features, num_classes)
    return model


def _train(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    model.train()
    criterion = nn.CrossEntropyLoss()
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()


def _validate(model: nn.Module, loader: DataLoader) -> tuple[float, list[int]]:
    model.eval()
    answers, right = [], 0
    with torch.no_grad():
        for inputs, labels in loader:
            best = model(inputs).argmax(dim=1)
            answers += best.tolist()
            right += int((best == labels).sum())
    return right / len(answers), answers


if __name__ == "__main__":
    main()

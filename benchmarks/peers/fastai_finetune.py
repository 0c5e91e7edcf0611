"""fastai as its documentation recommends: presized pictures, `vision_learner`, `fine_tune(4)`.

`Resize(460)` on the item and `aug_transforms(size=224)` on the batch, the default batch size of 64,
one epoch of the head and four of everything, all rates and schedules fastai's own. The answers are
those that the last epoch's validation gave, so that no further pass is counted.

Source: https://docs.fast.ai/tutorial.vision.html
"""

from pathlib import Path

from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Resize,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)
from protocol import MODEL, parser, tell, write_answers


class Telling(Callback):
    """Tells each epoch's validation accuracy, and keeps what was answered."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.answers: list[int] = []
        self.accuracy = 0.0

    def before_validate(self) -> None:
        """Forget the answers of the epoch before."""
        self.answers, self.right = [], 0

    def after_pred(self) -> None:
        """Keep what was answered about one batch of validation pictures."""
        if not self.training:
            best = self.learn.pred.argmax(dim=1)
            self.answers += best.tolist()
            self.right += int((best == self.learn.yb[0]).sum())

    def after_validate(self) -> None:
        """Tell how many answers were right."""
        self.accuracy = self.right / len(self.answers)
        tell("epoch", started=self.started, accuracy=self.accuracy)


def main() -> None:
    """Train, and write the answers of the last epoch."""
    words = parser(__doc__)
    words.add_argument("--epochs", type=int, default=4)
    asked = words.parse_args()
    set_seed(asked.seed)
    loaders = ImageDataLoaders.from_folder(
        asked.data,
        train="train",
        valid="val",
        item_tfms=Resize(round(asked.size * 460 / 224)),
        batch_tfms=aug_transforms(size=asked.size),
        seed=asked.seed,
    )
    learner = vision_learner(
        loaders, MODEL, metrics=accuracy, pretrained_cfg_overlay={"file": str(asked.weights)}
    )
    telling = Telling(asked.started)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(asked.epochs, cbs=telling)
    names = [Path(own).relative_to(asked.data / "val") for own in loaders.valid_ds.items]
    labels = [loaders.vocab[own] for own in telling.answers]
    write_answers(asked.output, {str(n): own for n, own in zip(names, labels, strict=True)})
    tell("final", started=asked.started, accuracy=telling.accuracy)


if __name__ == "__main__":
    main()

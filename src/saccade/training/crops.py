"""What a rung learns from where it keeps no view: parts of the kept activations, mirrored too."""

from dataclasses import dataclass, fields

import numpy as np
import torch

from saccade.data.task import Task
from saccade.runtime.seeds import generator
from saccade.training.augment import augment_of
from saccade.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Crops of square maps, each somewhere else in every epoch; the last epoch sees whole maps.

    They stand for shifts, zooms and mirror images of the pictures, and cost less than no
    augmentation at all: a step computes as much less as a crop is smaller. Learning that never
    sees what will be asked about, whole maps, loses by it (docs/log.md).
    """

    side: int  # in places of the map
    mirrored: float  # probability that the map is mirrored, left to right; whole ones too
    epochs: int  # of the rung
    seed: int

    def of(self, maps_BCHW: torch.Tensor, rows: np.ndarray, *, epoch: int) -> torch.Tensor:
        """Return a part of each map: (B, C, side, side), or whole maps, channels last.

        Which part is a function of (seed, epoch, picture), as what happens to a whole picture is;
        each place that a crop has room for is as likely.

        Args:
            maps_BCHW: activations of the pictures as they are.
            rows: of the catalogue, (B,).
            epoch: from 1; 0 = a try.
        """
        whole = maps_BCHW.shape[-1]
        side = whole if epoch >= self.epochs else self.side
        draws_B3 = generator(self.seed, "crop", epoch).random((int(rows.max()) + 1, 3))[rows]
        corners_B2 = (draws_B3[:, :2] * (whole - side + 1)).astype(np.int64)
        parts = torch.stack(
            [
                own[:, y : y + side, x : x + side]
                for own, (y, x) in zip(maps_BCHW, corners_B2, strict=True)
            ]
        )
        mirrored_B = torch.from_numpy(draws_B3[:, 2] < self.mirrored)
        parts[mirrored_B] = parts[mirrored_B].flip(3)
        return parts.contiguous(memory_format=torch.channels_last)


def may_crop(recipe: Recipe, task: Task) -> bool:
    """Say whether crops may stand for the augmentation that a recipe asks for.

    Only where it both shifts and zooms, so cuts things off, and asks of nothing for more than it
    does by default: whoever wants more turning or other light is given views that have it. What
    was found to spoil the learning has been set to 0 before. Several answers, or a number, may
    rest on what a part does not show; and statistics that move would be those of parts.
    """
    asked, usual = augment_of(recipe), augment_of(Recipe())
    no_more = all(getattr(asked, own.name) <= getattr(usual, own.name) for own in fields(asked))
    cuts_off = asked.shift > 0 and asked.zoom > 0
    plain = task.kind in {"binary", "multiclass"} and recipe.statistics != "moving"
    return no_more and cuts_off and plain

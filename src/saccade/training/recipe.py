"""Every choice of a run, in one place, readable and runnable again."""

import dataclasses
from dataclasses import dataclass

NO_RUNG = "none"  # the plan of a budget into which no rung fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What was asked for; every field is a flag of `saccade train` and a line of recipe.toml."""

    data: str = ""
    "Folder of class folders, metadata file, or one CSV or Parquet table."
    image_column: str = ""
    "Table: column with the picture's path or bytes; empty = found by name and content."
    label_column: str = ""
    "Table: column with the answer; several, with commas, hold 0 or 1 each; empty = found."
    split_column: str = ""
    "Table: column that says train, val or test; empty = found by name, else none."
    group_column: str = ""
    "Table: column whose equal values (patient, video) must stay in one part."
    group: str = ""
    "What stays in one part: a column, a pattern on the path as 'patient_([0-9]+)', or auto."
    task: str = "auto"
    "auto, binary, multiclass, multilabel or regression."
    exclude: tuple[str, ...] = ()
    "Classes to leave out; of several labels a picture, all pictures that have one of these."
    corrections: str = ""
    "Labels put right: table (columns file, label; - = left out) like suspects.csv, or a,b,c."
    limit: int = 0
    "Look at so many pictures only, drawn evenly from the classes; 0 = all that the budget allows."
    follow_links: bool = False
    "Follow symbolic links that lead outside the folder."
    keep_val: bool = False
    "With train and val folders only: keep val as validation and take the test part from train."
    strict: bool = False
    "Refuse to learn (exit code 3) where something severe was found in the data, such as a leak."
    val_fraction: float = 0.15
    "Share for validation of what it is drawn from, 0-0.5, where no such part is given."
    test_fraction: float = 0.15
    "Share for the test of what it is drawn from, 0-0.5, where no such part is given."
    seed: int = 0
    "Whatever is random follows from it: the split, the start, the order, the augmentation."

    model: str = "auto"
    "A timm architecture, several to race (a,b), auto (those at hand), or cnn or mlp from scratch."
    weights: str = "auto"
    "auto (SACCADE_WEIGHTS, then the hub), none, a file or a folder."
    img_size: int = 0
    "Side of the square input in pixels; 0 = what the weights were trained with."
    fit: str = "crop"
    "How a picture becomes square: crop (centre), pad (bars) or squash."
    widths: tuple[int, ...] = ()
    "cnn: channels of each stage; mlp: neurons of each hidden layer; empty = 32,64,128 or 256,128."
    kernel: int = 3
    "cnn: side of the convolution kernels in pixels, odd, 1-11."
    activation: str = "relu"
    "From scratch: relu, leaky_relu, tanh, sigmoid, gelu or silu."
    pooling: str = "max"
    "cnn: max, avg or min."
    head: str = "gap"
    "cnn: gap (global average pooling) or flatten before the output layer."
    residual: bool = True
    "cnn: identity shortcuts around each pair of convolutions."
    batch_norm: bool = True
    "From scratch: BatchNorm after each convolution or hidden layer."
    drop: float = 0.0
    "Dropout before the output layer, 0-0.95."

    unfreeze: str = "auto"
    "Stages that learn beside the head, from the end: 0, a number, all; auto = the freezing ladder."
    budget: str = ""
    "Time for everything, from Enter to the report: 90s, 15m, 2h; empty = until nothing helps."
    rungs: tuple[str, ...] = ()
    "The ladder's rungs, stages:epochs:views each, or none; empty = planned, and then written here."
    views: int = 0
    "Views kept of each picture, the plain one too; 0 = 1, seen in crops, or 2 (--unfreeze K: 4)."
    statistics: str = "auto"
    "BatchNorm statistics of learning stages: moving, frozen; auto = frozen on the ladder's rungs."
    epochs: int = 0
    "Passes over the training part; 0 = 4 a rung (in crops 6), --unfreeze K: 10, else 30 to 200."
    batch_size: int = 32
    "Pictures a step, 1 or more."
    opt: str = "adamw"
    "sgd, adam or adamw."
    lr: float = 0.0
    "Highest learning rate of the head; 0 = 3e-4 on a rung, else 1e-3; for sgd 1e-2."
    body_lr: float = 0.0
    "Highest rate of unfrozen pretrained stages; 0 = lr · 2 / stages on a rung, else lr / 10."
    momentum: float = 0.9
    "sgd: 0-1."
    nesterov: bool = True
    "sgd: Nesterov's form of momentum."
    weight_decay: float = 0.01
    "Per step, times the rate (adamw) or added to the gradient (sgd, adam)."
    schedule: str = "cosine"
    "cosine, step (a tenth at 60 % and 85 %) or constant."
    warmup: float = 0.05
    "Share of the steps in which the rate rises from 0, 0-0.5."
    smoothing: float = 0.0
    "Label smoothing, 0-0.5."
    class_weights: str = "none"
    "none or balanced (each class weighs the same in the loss)."
    patience: int = 0
    "Epochs without gain before it stops; 0 = 5 when pretrained, else 10 or a third of the epochs."
    tolerance: float = 1e-4
    "A smaller gain of the validation score does not count."

    augment: bool = True
    "All augmentations below; --no-augment switches them off together."
    keep_augment: tuple[str, ...] = ()
    "Of those below: kept even where found to spoil the learning; those that you set always are."
    rotate: float = 15.0
    "Rotation up to ± this many degrees, 0-180."
    zoom: float = 0.15
    "Scaling and cropping: by a factor between 1 - zoom and 1 + zoom, 0-0.9."
    shift: float = 0.08
    "Translation up to ± this share of the side, 0-0.5."
    hflip: float = 0.5
    "Probability of a horizontal flip; left out where it is found to spoil the learning (text)."
    vflip: float = 0.0
    "Probability of a vertical flip; 0.5 for pictures without an up."
    brightness: float = 0.15
    "Factor between 1 ± this, 0-1."
    contrast: float = 0.15
    "Factor between 1 ± this, 0-1."
    noise: float = 0.01
    "Standard deviation of Gaussian noise up to this share of the full range, 0-0.5."

    trust: bool = True
    "Ask after learning how far the result can be trusted; --no-trust leaves the studies out."
    golden: bool = True
    "Let a few test pictures travel with the model, byte for byte, to prove it by."
    cache: str = ""
    "Folder of the shared cache; empty = SACCADE_CACHE, else the user's cache folder."
    cache_gb: float = 20.0
    "What the cache may keep after a run, in 10^9 bytes; pictures unused for longest go first."
    device: str = "auto"
    "auto, cpu, cuda or mps."
    precision: str = "auto"
    "Of the steps: fp32, bf16; auto = bf16 on processors that have it. Tests are always in fp32."
    threads: int = 0
    "CPU threads; 0 = all cores."

    @property
    def is_planned(self) -> bool:
        """Whether pictures or rungs are named, so that no clock decides which pictures are used."""
        return self.limit > 0 or bool(self.rungs)

    def replace(self, **changes: object) -> "Recipe":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

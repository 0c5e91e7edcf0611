"""What each metric is called and means, in words for people who do not compute it themselves."""

from collections.abc import Sequence

from saccade.evaluation.digits import is_share as is_share
from saccade.evaluation.scores import SCORE_NAMES

AVERAGES = {
    "macro": "each class counts the same",
    "weighted": "each class counts by its pictures",
    "micro": "all decisions pooled",
    "samples": "mean over pictures",
}
FAMILIES = {
    "recall": "of the pictures of a class, the share that is found (sensitivity)",
    "precision": "of the pictures given a class, the share that belongs to it",
    "f1": "harmonic mean of precision and recall",
    "specificity": "of the pictures of other classes, the share not given this one",
}
RANKED = {
    "roc_auc": "chance that a picture of the class scores above one that is not",
    "average_precision": "area under the curve of precision over recall",
}
MEANINGS = {
    "accuracy": ("Accuracy", "share of pictures whose class is right"),
    "majority_accuracy": (
        "Baseline: majority class",
        "accuracy of always naming the most frequent class of the training part",
    ),
    "balanced_accuracy": ("Balanced accuracy", "mean of the recalls of all classes"),
    "top_5_accuracy": ("Top-5 accuracy", "the right class is among the five highest scores"),
    "accuracy_subset": ("Subset accuracy", "share of pictures with every label right"),
    "majority_accuracy_subset": (
        "Baseline: most frequent labels",
        "subset accuracy of always naming the most frequent set of labels of the training part",
    ),
    "hamming_loss": ("Hamming loss", "share of wrong decisions; lower is better"),
    "jaccard_samples": ("Jaccard index (samples)", "shared labels among all labels of a picture"),
    "roc_auc": (
        "ROC AUC",
        "chance that a picture of the second class scores above one of the first",
    ),
    "roc_auc_ovr_macro": ("ROC AUC (one against the rest, macro)", RANKED["roc_auc"]),
    "roc_auc_macro": ("ROC AUC (macro)", RANKED["roc_auc"]),
    "average_precision": ("Average precision", RANKED["average_precision"]),
    "average_precision_macro": ("Average precision (macro)", RANKED["average_precision"]),
    "log_loss": ("Log loss", "0 = sure and right; lower is better"),
    "log_loss_macro": ("Log loss (macro)", "0 = sure and right; lower is better"),
    "mae": ("Mean absolute error", "in the unit of the target; lower is better"),
    "mean_baseline_mae": (
        "Baseline: mean absolute error of the mean",
        "always answering the mean of the training part",
    ),
    "rmse": ("Root mean squared error", "in the unit of the target; lower is better"),
    "mean_baseline_rmse": (
        "Baseline: root mean squared error of the mean",
        "always answering the mean of the training part",
    ),
    "r2": ("R²", "share of the variance explained: 1 is perfect, 0 no better than the mean"),
}
PLAIN = {
    "balanced_accuracy": "of the pictures of each class, the share that is found (its recall); "
    "then the mean of these, so that a rare class counts as much as a frequent one",
    "f1_macro": "for each class a number between its precision (of the pictures given the class, "
    "the share that belongs to it) and its recall (of its pictures, the share that is found), "
    "nearer to the smaller; then the mean of the classes",
    "average_precision_macro": "how well the score of a class ranks its own pictures before "
    "all others, 1 where all of them come first; then the mean of the classes",
}
"""Of the metrics that stand large at the top, in more words where a table's would not do."""

INTERVAL = (
    "of a hundred runs with other pictures of the same kind, about 95 would have the true number "
    "in their intervals; the fewer pictures, the wider"
)
LEADING = {
    "binary": ("accuracy", "majority_accuracy", "balanced_accuracy", "roc_auc"),
    "multiclass": ("accuracy", "majority_accuracy", "balanced_accuracy", "f1_macro"),
    "multilabel": (
        "f1_macro",
        "average_precision_macro",
        "accuracy_subset",
        "majority_accuracy_subset",
    ),
    "regression": ("mae", "mean_baseline_mae", "rmse", "r2"),
}
BASELINES = {
    "accuracy": "majority_accuracy",
    "accuracy_subset": "majority_accuracy_subset",
    "mae": "mean_baseline_mae",
    "rmse": "mean_baseline_rmse",
}
METHODS = {
    "wilson-bootstrap": "Wilson, width by bootstrap",
    "wilson-jackknife": "Wilson, width by jackknife",
    "wilson-delong": "Wilson, width after DeLong",
    "wilson": "Wilson, exact ends",
    "bootstrap-t": "bootstrap-t",
    "bootstrap": "bootstrap",
    "t": "Student's t",
}


def score_words(name: str) -> str:
    """Return what a validation score is called.

    >>> score_words("negative_rmse"), score_words("accuracy"), score_words("")
    ('RMSE', 'accuracy', 'score')
    """
    return SCORE_NAMES.get(name, name) or "score"


def title(name: str) -> tuple[str, str]:
    """Return a metric's name and meaning in words; an average always names its kind.

    >>> title("precision_macro")[0], title("something_new")
    ('Precision (macro)', ('something_new', ''))
    """
    if name in MEANINGS:
        return MEANINGS[name]
    family, _, average = name.rpartition("_")
    if family in FAMILIES and average in AVERAGES:
        return f"{family_title(family)} ({average})", AVERAGES[average]
    return name, ""


def in_plain_words(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (title, meaning) of metrics, of their intervals and of n, for who has never met them.

    >>> [title for title, _ in in_plain_words(["accuracy"])]
    ['Accuracy', '95 % interval', 'n']
    """
    found = [(title(name)[0], PLAIN.get(name) or title(name)[1]) for name in names]
    return (*found, ("95 % interval", INTERVAL), ("n", "how many pictures a number rests on"))


def family_title(name: str) -> str:
    """Return what precision, recall and the like are called.

    >>> family_title("f1"), family_title("roc_auc")
    ('F1', 'ROC AUC')
    """
    known = {"f1": "F1", "roc_auc": "ROC AUC"}
    return known.get(name) or name.replace("_", " ").capitalize()


def is_baseline(name: str) -> bool:
    """Return whether a metric is what a constant answer reaches."""
    return name in BASELINES.values()


def in_grid(name: str) -> bool:
    """Return whether a metric is an average of precision, recall, F1 or specificity."""
    family, _, average = name.rpartition("_")
    return family in FAMILIES and average in AVERAGES


def method_words(method: str) -> str:
    """Return how an interval was found, in words.

    >>> method_words("wilson-jackknife of 12 groups; mean of 8 of 9 classes")
    'Wilson, width by jackknife, of 12 groups; mean of 8 of 9 classes'
    """
    if method.startswith("undefined: "):
        return "–"
    known = max((m for m in METHODS if method.startswith(m)), key=len, default="")
    rest = method[len(known) :]
    if not known or (rest and rest[0] not in " ;"):
        return method
    return METHODS[known] + (f",{rest}" if rest.startswith(" ") else rest)

"""A model in plain timm: the code, and what turns its logits into the scores that saccade gives."""

import json

from saccade.data.task import Task
from saccade.evaluation.calibration import Calibration

_SCORES = {"multiclass": "softmax(dim=1)", "binary": "sigmoid()", "multilabel": "sigmoid()"}
_NAMES = {"binary": "score_of_the_second_class"}


def literal(text: str) -> str:
    """Return a text as Python writes it, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def snippet(task: Task, calibration: Calibration | None, *, model: str, picture: str) -> str:
    """Return Python that names a picture with timm alone; its last line gives the scores.

    Args:
        task: the kind of answer.
        calibration: how the model's logits become scores; None = as the network gives them.
        model: the model folder.
        picture: a file.
    """
    return (
        "import timm\nimport torch\nfrom PIL import Image, ImageOps\n\n"
        f"model = timm.create_model({literal('local-dir:' + model)}, pretrained=True).eval()\n"
        "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n"
        f'picture = ImageOps.exif_transpose(Image.open({literal(picture)})).convert("RGBA")\n'
        'white = Image.new("RGBA", picture.size, "white")  # below what is transparent\n'
        'picture = Image.alpha_composite(white, picture).convert("RGB")\n'
        "with torch.inference_mode():\n"
        "    logits = model(transform(picture).unsqueeze(0))\n"
        f"{_last_line(task, calibration)}"
    )


def _last_line(task: Task, calibration: Calibration | None) -> str:
    if task.kind == "regression":
        return f"value = logits * {task.target_std!r} + {task.target_mean!r}"
    kind = calibration.kind if calibration is not None else "none"
    logits = "logits"
    if calibration is not None and kind == "temperature":
        logits = f"(logits / {calibration.temperature:.6g})"
    line = f"{_NAMES.get(task.kind, 'scores')} = {logits}.{_SCORES[task.kind]}"
    return f"{line}  # not calibrated" if kind == "isotonic" else line


def outputs_meaning(task: Task, calibration: Calibration | None) -> str:
    """Return sentences on what the network puts out, and how it becomes saccade's scores."""
    if task.kind == "regression":
        return (
            "The output is standardised: times "
            f"{task.target_std!r} plus {task.target_mean!r} it is in the unit of the target."
        )
    divided, after = "", ""
    if calibration is not None and calibration.kind == "temperature":
        divided = (
            f", divided by the temperature {calibration.temperature:.6g} that was fitted on "
            f"{calibration.n:,} held-out pictures"
        )
    if calibration is not None and calibration.kind == "isotonic":
        after = (
            " Scores from plain timm are not calibrated: with them the best class is the same, but "
            "they can be too sure, and thresholds of `saccade predict` do not hold for them. "
            "`saccade predict` lays a curve over them, fitted on "
            f"{calibration.n:,} held-out pictures."
        )
    what = "the scores" if not after else "scores"
    return {
        "binary": f"One output{divided}; its sigmoid is {'a' if after else 'the'} score of the "
        "second class.",
        "multilabel": f"One output a label{divided}; its sigmoid is the label's score, and labels "
        "above 0.5 are given.",
        "multiclass": f"One output a class{divided}; their softmax are {what}, which add up to 1.",
    }[task.kind] + after

"""Events of a freezing ladder and of a race of backbones, as `saccade train` notes them."""

from typing import Any

from saccade.evaluation.intervals import wilson

NAMES = {1: "last stage", 9: "all"}


def name_of(stages: int) -> str:
    return NAMES.get(stages, f"last {stages} stages")


def ends(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with the interval that a run records of an accuracy."""
    score, low, high = event["validation_score"], None, None
    if event["score_name"] == "accuracy" and score is not None:
        own = wilson(round(score * event["num_validation"]), event["num_validation"])
        low, high = own.low, own.high
    return {"validation_low": low, "validation_high": high, **event}


def head(**fields: Any) -> dict[str, Any]:
    candidates = [{"penalty": 10.0**k, "loss": 0.3 + 0.02 * (k + 1) ** 2} for k in range(-5, 3)]
    event = {
        "event": "head",
        "penalty": 0.1,
        "candidates": candidates,
        "validation_score": 0.87,
        "validation_loss": 0.41,
        "score_name": "accuracy",
        "num_validation": 120,
        "seconds": 0.4,
        "at_seconds": 12.5,
        **fields,
    }
    return ends(event)


def rung(stages: int, *, taken: bool, **fields: Any) -> dict[str, Any]:
    event = {
        "event": "rung",
        "stages": stages,
        "name": name_of(stages),
        "epochs": 6,
        "views": 4,
        "cached": stages < 9,
        "validation_score": 0.9,
        "validation_loss": 0.33,
        "score_name": "accuracy",
        "num_validation": 120,
        "gain": 0.071 if taken else -0.02,
        "gain_low": 0.015 if taken else -0.06,
        "gain_high": 0.128 if taken else 0.021,
        "p": 0.05 if taken else 0.75,
        "taken": taken,
        "why": "",
        "seconds": 20.0,
        "at_seconds": 33.0,
        **fields,
    }
    return ends(event)


def epochs(place: int, num: int, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for k in range(1, num + 1):
        epoch = {
            "event": "epoch",
            "epoch": k,
            "step": 22 * k,
            "train_loss": 0.6 / k,
            "validation_loss": 0.33 + 0.1 / k,
            "validation_score": 0.9 - 0.05 / k,
            "score_name": "accuracy",
            "num_validation": 120,
            "lr": 1e-3 * (num + 1 - k) / num,
            "images_per_second": 100.0,
            "seconds": 3.0,
            "best": True,
            "rung": place,
            **fields,
        }
        norms = {f"blocks.{6 - place}": 0.5 / k, "head": 2.0 / k}
        found += [epoch, {"event": "layer_gradients", "epoch": k, "norms": norms}]
    return found


def ladder(verdicts: str, *, hostile: str = "", **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a run; `verdicts` has + for a rung that was kept and - for others."""
    events = [head(**{key: fields[key] for key in fields if key != "why"})]
    for place, verdict in enumerate(verdicts):
        own = {
            "at_seconds": 12.5 + 4.0 * 2.2**place,
            "seconds": 4.0 * 2.2**place,
            "validation_score": 0.87 + 0.01 * place,
            **fields,
        }
        stages = min(2**place, 9)
        events += epochs(place, 6, score_name=own.get("score_name", "accuracy"))
        name = name_of(stages) + hostile
        events.append(rung(stages, taken=verdict == "+", **{"name": name, **own}))
    return events


def race(*, hostile: str = "") -> dict[str, Any]:
    def candidate(name: str, score: float, **fields: Any) -> dict[str, Any]:
        return {
            "name": name + hostile,
            "score": score,
            "low": score - 0.04,
            "high": score + 0.03,
            "n": 300,
            "score_name": "accuracy",
            "seconds": 6.2,
            "images_per_second": 71.4,
            "num_parameters": 2_230_277,
            "chosen": False,
            "why": "",
            "behind": {"value": 0.05, "low": 0.01, "high": 0.09, "p": 0.02, "n": 300},
            **fields,
        }

    return {
        "event": "race",
        "candidates": [
            candidate("mobilenetv2_100", 0.86, why=f"surely worse{hostile}"),
            candidate(
                "resnet18",
                0.91,
                chosen=True,
                behind=None,
                why="the best of those that are as quick",
            ),
            candidate("vgg16", 0.9, num_parameters=None, seconds=None, images_per_second=None),
        ],
        "num_sample": 300,
    }

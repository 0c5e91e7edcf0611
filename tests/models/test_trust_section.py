"""What a model knows of its own answers, in its folder: kept to the last digit, and checked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.evaluation.populations import TASKS, draw

from saccade.data.split import Split
from saccade.data.task import Kind, Task
from saccade.evaluation import calibration
from saccade.evaluation.calibration import Calibration
from saccade.evaluation.held import Held
from saccade.evaluation.model_trust import ModelTrust, fit_trust
from saccade.models import bundle, manifest, trust_section
from saccade.models import network as networks
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, SaccadeError
from saccade.training.recipe import Recipe

FILE = "trust.safetensors"


def fitted(own: Held, *, width: int) -> ModelTrust:
    """Fit on half of the pictures, with features of their own."""
    num = len(own)
    groups = own.groups or ("",) * num
    parts = ("train",) * (num // 2) + ("validation",) * (num - num // 2)
    features = np.random.default_rng(0).gamma(1, 1, (num, width)).astype(np.float32)
    found = fit_trust(
        split=Split(parts=parts, groups=groups, why=("drawn",) * num, seed=0),
        task=own.task,
        logits_NK=own.logits_NK,
        targets=own.targets,
        features_ND=features,
        seed=0,
    )
    assert found is not None
    return found


def saved_with(task: Task, trust: ModelTrust | None, place: Path) -> Path:
    network, preprocess = networks.build("mlp", task=task, recipe=Recipe(widths=(4,), img_size=16))
    bundle.save(place, network, task=task, preprocess=preprocess, provenance={}, trust=trust)
    return place


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of five classes with a curve for its calibration, and all else there is."""
    own = draw(2_400, sharpened=2.0)
    bent = replace(own, logits_NK=np.sign(own.logits_NK) * np.abs(own.logits_NK) ** 3 / 50)
    return saved_with(own.task, fitted(bent, width=4), tmp_path_factory.mktemp("t") / "model")


@pytest.fixture
def saved(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "model"))


@pytest.mark.parametrize("kind", TASKS)
def test_what_was_saved_says_the_same_again(kind: Kind, tmp_path: Path) -> None:
    own, new = draw(240, kind=kind, sharpened=2.0), draw(60, kind=kind, seed=1)
    trust = fitted(own, width=4)
    found = bundle.load(saved_with(own.task, trust, tmp_path / "m")).trust
    assert found is not None
    assert found.calibration == trust.calibration
    scores = [one.calibration.scores(new.logits_NK, task=own.task) for one in (trust, found)]
    np.testing.assert_array_equal(*scores)
    assert [found.conformal.reach(c) for c in (0.5, 0.9)] == [
        trust.conformal.reach(c) for c in (0.5, 0.9)
    ]
    features = np.random.default_rng(1).gamma(1, 1.5, (60, 4)).astype(np.float32)
    assert found.unknown is not None
    assert trust.unknown is not None
    np.testing.assert_array_equal(
        found.unknown.is_unknown(features), trust.unknown.is_unknown(features)
    )
    assert (found.unknown.threshold, found.unknown.rate, found.unknown.n) == (
        trust.unknown.threshold,
        0.05,
        120,
    )
    assert (found.selective is None) == (kind == "regression")
    if found.selective is not None:
        assert found.promise(0.5) == trust.promise(0.5)
    assert found.conformal.fitted_on == frozenset()  # rows of another catalogue mean nothing


def test_which_pictures_belong_together_survives(tmp_path: Path) -> None:
    own = replace(
        draw(240), groups=tuple(f"burst {row // 3}" * (row % 12 > 5) for row in range(240))
    )
    trust = fitted(own, width=4)
    found = bundle.load(saved_with(own.task, trust, tmp_path / "m")).trust
    assert found is not None
    assert found.conformal.sizes_N is not None
    np.testing.assert_array_equal(found.conformal.sizes_N, trust.conformal.sizes_N)
    assert found.conformal.reach(0.9) == trust.conformal.reach(0.9)


def test_a_curve_survives(saved: Path) -> None:
    found = bundle.load(saved).trust
    assert found is not None
    assert found.calibration.kind == "isotonic"


def test_a_curve_that_is_level_close_to_1_survives(tmp_path: Path) -> None:
    """The last two knots of a network that is almost sure differ, and their values may not."""
    own = draw(1_200, kind="binary")
    truth = own.targets.astype(np.int64)
    logits_NK = (2.0 * truth - 1)[:, None].astype(np.float32)
    logits_NK[np.flatnonzero(truth)[0]] = 35
    held = replace(own, logits_NK=logits_NK, targets=truth)
    trust = fitted(own, width=4)
    curve = calibration._with_curve(held, Calibration(kind="temperature", n=1_200))
    assert curve.knots[-2] < curve.knots[-1]
    assert curve.values[-2] == curve.values[-1]
    folder = saved_with(own.task, replace(trust, calibration=curve), tmp_path / "m")
    found = bundle.load(folder).trust
    assert found is not None
    assert found.calibration == curve


def test_why_something_is_not_known_survives(tmp_path: Path) -> None:
    trust = fitted(draw(30), width=4)
    found = bundle.load(saved_with(draw(30).task, trust, tmp_path / "m")).trust
    assert found is not None
    assert found.unknown is None
    assert found.why_no_unknown == trust.why_no_unknown
    assert found.calibration.why == trust.calibration.why != ""


def test_a_model_saved_without_loads_as_before(tmp_path: Path) -> None:
    folder = saved_with(draw(4).task, None, tmp_path / "m")
    assert bundle.load(folder).trust is None
    assert not (folder / FILE).exists()


def test_a_model_of_the_first_format_loads_as_before(tmp_path: Path) -> None:
    folder = saved_with(draw(4).task, None, tmp_path / "m")

    def change(config: dict[str, Any]) -> None:
        del config["saccade"]["sha256"]
        config["saccade"]["format_version"] = 1

    edit(folder, change)
    assert bundle.load(folder).trust is None


@pytest.mark.parametrize("effect", [2.5, [2.5], [1.0, 1.5, 2.0, 2.5]])
def test_one_effect_of_all_answers_is_read_and_four_are(saved: Path, effect: object) -> None:
    """The third format had one number."""

    def change(config: dict[str, Any]) -> None:
        config["saccade"]["format_version"] = 3 if isinstance(effect, float) else 4
        config["saccade"]["trust"]["effect"] = effect

    edit(saved, change)
    trust = bundle.load(saved).trust
    assert trust is not None
    assert trust.selective is not None
    assert trust.selective.effects == tuple(np.atleast_1d(effect))


def test_the_file_is_listed_with_its_hash(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["saccade"]["format_version"] == 4
    assert config["saccade"]["files"][FILE] == store.sha256(saved / FILE)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    if "sha256" in config.get("saccade", {}):
        config["saccade"]["sha256"] = manifest.config_hash(config)
    (folder / "config.json").write_text(json.dumps(config))


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what changes the section `trust`."""
    return lambda folder: edit(folder, lambda config: change(config["saccade"]["trust"]))


def of_calibration(**changed: object) -> Callable[[Path], None]:
    return edited(lambda trust: trust["calibration"].update(changed))


def retold(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Return what changes the tensors, and the hash of their file with them."""

    def make(folder: Path) -> None:
        tensors = load_file(folder / FILE)
        change(tensors)
        save_file(tensors, folder / FILE)
        sha = store.sha256(folder / FILE)
        edit(folder, lambda config: config["saccade"]["files"].update({FILE: sha}))

    return make


def one_step_back(own: list[float]) -> list[float]:
    return [*own[:3], own[1], *own[4:]]


SECTION = "config.json of this model is not right: its section `trust` "
TENSORS = "trust.safetensors of this model is not right: "
WRONGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no file": (lambda f: (f / FILE).unlink(), "510", "A file of this model is missing"),
    "changed file": (lambda f: (f / FILE).write_bytes(b"x" * 90), "513", "was changed after"),
    "no section": (
        lambda f: edit(f, lambda c: c["saccade"].pop("trust")), "512", "without trust.safetensors",
    ),
    "file not listed": (
        lambda f: edit(f, lambda c: c["saccade"]["files"].pop(FILE)), "512", "or the other way",
    ),
    "section of the first format": (
        lambda f: edit(f, lambda c: c["saccade"].update(format_version=1)),
        "512",
        "unknown: sha256, trust",
    ),
    "a list": (lambda f: edit(f, lambda c: c["saccade"].update(trust=[])), "512", "not complete"),
    "missing entry": (edited(lambda t: t.pop("effect")), "512", SECTION + "is not complete."),
    "unknown entry": (edited(lambda t: t.update(run="rm")), "512", SECTION + "is not complete."),
    "another part": (edited(lambda t: t.update(part="test")), "512", SECTION + "is not complete."),
    "n a text": (edited(lambda t: t.update(n="1200")), "512", "has n = 1200, not a whole"),
    "n true": (edited(lambda t: t.update(n=True)), "512", "has n = True"),
    "another n": (edited(lambda t: t.update(n=1_199)), "512", "has no sureness of 1199 pictures"),
    "1e9 pictures": (edited(lambda t: t.update(n=10**9)), "512", "has n = 1000000000"),
    "no calibration": (edited(lambda t: t.update(calibration=None)), "512", "no complete"),
    "calibration of another kind": (of_calibration(kind="magic"), "512", "names the calibration"),
    "calibration kind a list": (of_calibration(kind=["none"]), "512", "names the calibration"),
    "temperature 0": (of_calibration(temperature=0), "512", "has temperature = 0"),
    "temperature below 0": (of_calibration(temperature=-1.0), "512", "has temperature = -1.0"),
    "temperature NaN": (of_calibration(temperature=float("nan")), "512", "has temperature = nan"),
    "temperature infinite": (of_calibration(temperature=float("inf")), "512", "temperature = inf"),
    "temperature a text": (of_calibration(temperature="1"), "512", "has temperature = 1, not"),
    "temperature of few": (of_calibration(n=3), "512", "has calibration n = 3"),
    "why of 1 MB": (of_calibration(why="x" * 1_000_000), "512", "does not say why"),
    "why a number": (of_calibration(why=1), "512", "does not say why"),
    "no knots": (of_calibration(knots=[], values=[]), "512", "has a curve of another length"),
    "knots of another length": (of_calibration(knots=[0.0, 1.0]), "512", "of another length"),
    "knots not a list": (of_calibration(knots="0,1"), "512", "has knots that are no list"),
    "a million knots": (of_calibration(knots=[0.5] * 100_000), "512", "has knots that are no list"),
    "knots above 1": (of_calibration(knots=[0.0, 2.0], values=[0.0, 1.0]), "512", "has knots = 2"),
    "knots that end early": (
        of_calibration(knots=[0.0, 0.9], values=[0.0, 1.0]), "512", "does not reach from 0 to 1",
    ),
    "values that fall": (
        edited(lambda t: t["calibration"].update(values=one_step_back(t["calibration"]["values"]))),
        "512", "has values that do not rise",
    ),
    "knots without a curve": (of_calibration(kind="temperature"), "512", "of another length"),
    "effect below 1": (edited(lambda t: t.update(effect=0.5)), "512", "has effect = 0.5"),
    "two effects": (edited(lambda t: t.update(effect=[1.0, 2.0])), "512", "one effect or 4"),
    "an effect below 1": (edited(lambda t: t.update(effect=[1, 1, 0.5, 1])), "512", "effect = 0.5"),
    "no effect": (edited(lambda t: t.update(effect=None)), "512", "has effect = None"),
    "unknown a number": (edited(lambda t: t.update(unknown=1)), "512", "what is unknown"),
    "unknown incomplete": (edited(lambda t: t["unknown"].pop("n")), "512", "what is unknown"),
    "unknown left out": (edited(lambda t: t.update(unknown=None)), "512", "hold different things"),
    "threshold NaN": (
        edited(lambda t: t["unknown"].update(threshold=float("nan"))), "512", "has threshold = nan",
    ),
    "rate above a half": (edited(lambda t: t["unknown"].update(rate=0.9)), "512", "has rate = 0.9"),
    "why_no_unknown a number": (edited(lambda t: t.update(why_no_unknown=0)), "512", "hold differ"),
    "no misfits": (retold(lambda t: t.pop("misfits")), "512", TENSORS + "it has no misfits of"),
    "misfits of others": (
        retold(lambda t: t.update(misfits=t["misfits"][1:].clone())), "512", "it has no misfits of",
    ),
    "misfits that fall": (
        retold(lambda t: t.update(misfits=t["misfits"].flip(0))), "512", "misfits do not rise",
    ),
    "misfits below 0": (
        retold(lambda t: t.update(misfits=t["misfits"] - 1)), "512", "misfits do not rise",
    ),
    "misfits above 1": (
        retold(lambda t: t.update(misfits=t["misfits"] + 1)), "512", "misfits do not rise",
    ),
    "misfits NaN": (
        retold(lambda t: t["misfits"].mul_(float("nan"))), "503", "values that are not numbers",
    ),
    "misfits whole": (
        retold(lambda t: t.update(misfits=t["misfits"].int())), "512", "'misfits' is of the kind",
    ),
    "sizes of no groups": (
        retold(lambda t: t.update(sizes=0 * t["misfits"] + 7)), "512", "sizes are not those of",
    ),
    "sizes of 0": (
        retold(lambda t: t.update(sizes=0 * t["misfits"])), "512", "sizes are not those of",
    ),
    "sizes of others": (
        retold(lambda t: t.update(sizes=t["misfits"][1:].clone())), "512", "it has no sizes of",
    ),
    "sureness that rises": (
        retold(lambda t: t.update(sureness=t["sureness"].flip(0))), "512", "sureness does not fall",
    ),
    "sureness above 1": (
        retold(lambda t: t.update(sureness=t["sureness"] + 1)), "512", "sureness does not fall",
    ),
    "right of 2": (
        retold(lambda t: t.update(right=t["right"] + 1)), "512", "right is not 0 or 1",
    ),
    "right as floats": (
        retold(lambda t: t.update(right=t["right"].float())), "512", "'right' is of the kind F32",
    ),
    "no axes": (retold(lambda t: t.pop("reference.axes")), "512", "reference is not complete"),
    "axes of other features": (
        retold(lambda t: t.update({"reference.axes": torch.ones(5, 4)})), "512", "not complete",
    ),
    "a reference of other features": (
        retold(lambda t: t.update({
            "reference.axes": torch.ones(5, 4), "reference.mean": torch.ones(5),
        })), "515", "its reference is of 5 features, the network has 4",
    ),
    "rest below 0": (
        retold(lambda t: t["reference.rest"].sub_(100)), "512", "reference is not complete",
    ),
    "empty reference": (
        retold(lambda t: t.update({
            "reference.near": torch.ones(0, 4), "reference.rest": torch.ones(0),
        })), "512", "reference is not complete",
    ),
    "one tensor more": (
        retold(lambda t: t.update(backdoor=torch.ones(3))), "512", "hold different things",
    ),
    "a pickle": (
        lambda f: torch.save({"a": 1}, f / FILE) or edit(f, lambda c: c["saccade"]["files"].update(
            {FILE: store.sha256(f / FILE)})), "501", "Weights are read from safetensors files only",
    ),
}  # fmt: skip


def outcome(folder: Path) -> str:
    try:
        bundle.load(folder)
    except SaccadeError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - what must not happen
        return type(error).__name__
    return "loaded"


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_trust_is_refused_with_the_reason(wrong: str, saved: Path) -> None:
    make, code, sentence = WRONGS[wrong]
    make(saved)
    assert outcome(saved) == f"SACCADE-E{code}"
    with pytest.raises(ArtefactError) as caught:
        bundle.load(saved)
    assert sentence in caught.value.message
    assert str(saved) in (caught.value.where or "")


def test_200_mutated_headers_and_bytes_never_end_otherwise(saved: Path) -> None:
    """Bytes changed by chance, with a hash that fits: refused by name, or numbers in range."""
    rng = np.random.default_rng(0)
    original, seen = (saved / FILE).read_bytes(), set()
    length = 8 + int.from_bytes(original[:8], "little")
    for case in range(200):
        content = bytearray(original)
        place = rng.integers(length if case % 2 else len(content))
        content[place] ^= 1 << int(rng.integers(8))
        (saved / FILE).write_bytes(bytes(content))
        sha = store.sha256(saved / FILE)
        edit(saved, lambda config, sha=sha: config["saccade"]["files"].update({FILE: sha}))
        seen.add(outcome(saved))
    assert seen <= {"loaded", *(f"SACCADE-E{code}" for code in (501, 502, 503, 512, 515))}
    assert len(seen) >= 3


def outcome_of(wrong: str, folder: Path) -> str:
    WRONGS[wrong][0](folder)
    return outcome(folder)


def test_a_wrong_trust_is_refused_negative_control(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome_of("values that fall", saved) == "SACCADE-E512"
    monkeypatch.setattr(trust_section, "_rising", lambda _path, own, _name: tuple(own))
    assert outcome(saved) == "loaded"


def test_a_file_of_200_mb_is_refused_unread(saved: Path) -> None:
    with (saved / FILE).open("wb") as file:
        file.truncate(200_000_000)
    sha = store.sha256(saved / FILE)
    edit(saved, lambda config: config["saccade"]["files"].update({FILE: sha}))
    with pytest.raises(ArtefactError, match="it is 200 MB long, and 64 MB is the most"):
        bundle.load(saved)

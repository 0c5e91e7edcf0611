import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.memory import grows_less_than

from saccade.data.task import Task
from saccade.models import backbones, bundle, manifest, tensors
from saccade.models.bundle import GoldenPicture
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, ResourceError, SaccadeError, UsageError

SMALL = {"widths": (4, 8), "img_size": 16}
AGAIN = "copy the whole model folder again from where it was made"


def pictures(size_px: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return torch.randn(3, 3, size_px, size_px)


@pytest.fixture
def saved(tmp_path: Path, build, task: Task) -> Path:
    """A model folder of a small network from scratch with one golden picture."""
    network, preprocess = build("cnn", **SMALL)
    golden = [GoldenPicture(name="my ant.JPG", content=b"bytes", logits=(0.5, -1.25, 3.0))]
    provenance = {"data": {"place": "photos"}}
    bundle.save(
        tmp_path / "model",
        network,
        task=task,
        preprocess=preprocess,
        provenance=provenance,
        golden=golden,
    )
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict[str, Any]], object], *, sealed: bool = True) -> None:
    """Change config.json; `sealed`, with its hash made anew, as one who means to deceive would."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    if sealed and "sha256" in config.get("saccade", {}):
        config["saccade"]["sha256"] = manifest.config_hash(config)
    (folder / "config.json").write_text(json.dumps(config))


def rehash(folder: Path) -> None:
    sha = store.sha256(folder / "model.safetensors")
    edit(folder, lambda config: config["saccade"]["files"].update({"model.safetensors": sha}))


class TestRoundTrip:
    @pytest.mark.parametrize(
        ("name", "choices"),
        [
            ("cnn", SMALL),
            ("cnn", SMALL | {"pooling": "min", "head": "flatten", "residual": False}),
            ("mlp", SMALL | {"activation": "tanh", "batch_norm": False}),
            ("test_resnet", {}),
            ("test_vit", {"img_size": 96}),
            ("resnetv2_18", {"img_size": 64}),
        ],
    )
    def test_a_loaded_model_answers_as_the_saved_one(
        self, name: str, choices: dict[str, Any], build, task: Task, tmp_path: Path
    ) -> None:
        network, preprocess = build(name, **choices)
        network.train()
        network(pictures(preprocess.size_px))  # statistics of BatchNorm that are not the start's
        network.eval()
        place = tmp_path / "runs" / "model"
        bundle.save(place, network, task=task, preprocess=preprocess, provenance={})
        found = bundle.load(place)
        with torch.no_grad():
            expected = network(pictures(preprocess.size_px))
            assert torch.equal(found.network(pictures(preprocess.size_px)), expected)
        assert (found.task, found.preprocess) == (task, preprocess)
        assert found.network.name == name
        assert not found.network.training
        assert [s.name for s in found.network.stages] == [s.name for s in network.stages]

    @pytest.mark.parametrize(
        "task",
        [
            Task(kind="binary", classes=("no", "yes")),
            Task(kind="regression", classes=(), target_mean=3.5, target_std=2.0),
            Task(kind="multilabel", classes=("a|b", "ü\n", "=c"), separator=";"),
        ],
    )
    def test_every_kind_of_task_survives(self, task: Task, build, tmp_path: Path) -> None:
        from saccade.models import network as networks
        from saccade.training.recipe import Recipe

        network, preprocess = networks.build("mlp", task=task, recipe=Recipe(widths=(4,)))
        bundle.save(tmp_path / "m", network, task=task, preprocess=preprocess, provenance={})
        assert bundle.load(tmp_path / "m").task == task

    @pytest.mark.parametrize(
        ("num_classes", "letters", "num_golden"), [(26_000, 6, 8), (60_000, 30, 0)]
    )
    def test_a_model_of_very_many_classes_can_be_loaded(
        self, num_classes: int, letters: int, num_golden: int, tmp_path: Path
    ) -> None:
        """Its golden.json, or its config.json, is larger than 4 MB."""
        from saccade.models import network as networks
        from saccade.training.recipe import Recipe

        names = tuple(f"{place:0{letters}}" for place in range(num_classes))
        task = Task(kind="multiclass", classes=names)
        network, preprocess = networks.build("mlp", task=task, recipe=Recipe(widths=(16,)))
        picture = GoldenPicture(name="a.png", content=b"bytes", logits=(-1 / 3,) * num_classes)
        golden = (picture,) * num_golden
        bundle.save(
            tmp_path / "m", network, task=task, preprocess=preprocess, provenance={}, golden=golden
        )
        found = bundle.load(tmp_path / "m")
        assert (found.golden, found.task.classes) == (golden, names)

    def test_golden_pictures_and_provenance_survive(self, saved: Path) -> None:
        found = bundle.load(saved)
        assert found.golden == (
            GoldenPicture(name="my ant.JPG", content=b"bytes", logits=(0.5, -1.25, 3.0)),
        )
        assert found.config["saccade"]["provenance"] == {"data": {"place": "photos"}}
        assert (saved / "golden" / "000.jpg").read_bytes() == b"bytes"

    def test_what_lies_beside_the_model_does_not_matter(self, saved: Path) -> None:
        (saved / "README.md").write_text("# A model card, written later")
        assert bundle.load(saved).network.num_outputs == 3

    def test_config_json_is_timms_hub_layout(self, build, task: Task, tmp_path: Path) -> None:
        network, preprocess = build("test_vit", img_size=96, fit="squash")
        network.licence = "apache-2.0"
        bundle.save(tmp_path / "m", network, task=task, preprocess=preprocess, provenance={})
        config = json.loads((tmp_path / "m" / "config.json").read_text())
        section = config.pop("saccade")
        assert config == {
            "architecture": "test_vit",
            "num_classes": 3,
            "num_features": 64,
            "label_names": ["ant", "bee", "cat"],
            "model_args": {"img_size": 96},
            "pretrained_cfg": {
                "custom_load": False,
                "input_size": [3, 96, 96],
                "interpolation": "bicubic",
                "crop_pct": 1.0,
                "crop_mode": "squash",
                "mean": list(preprocess.mean),
                "std": list(preprocess.std),
                "num_classes": 3,
                "pool_size": None,
                "first_conv": "patch_embed.proj",
                "classifier": "head",
                "license": "apache-2.0",
                "fixed_input_size": True,
            },
        }
        assert set(section) == {
            "format_version",
            "name",
            "task",
            "preprocess",
            "num_parameters",
            "files",
            "provenance",
            "sha256",
        }
        assert section["files"] == {
            "model.safetensors": store.sha256(tmp_path / "m" / "model.safetensors")
        }


@pytest.mark.slow
def test_plain_timm_without_saccade_gives_the_same_logits(
    build, task: Task, tmp_path: Path
) -> None:
    """Row D3 for timm: in a process where saccade cannot be imported."""
    expected = {}
    for name, size in [("test_resnet", 0), ("test_vit", 96), ("resnetv2_18", 64), ("xception", 64)]:
        network, preprocess = build(name, img_size=size)
        bundle.save(tmp_path / name, network, task=task, preprocess=preprocess, provenance={})
        images = pictures(preprocess.size_px)
        with torch.no_grad():
            expected[name] = {"images": images, "logits": network.eval()(images).contiguous()}
        save_file(expected[name], tmp_path / f"{name}.expected")
    program = (
        "import sys\n"
        "sys.modules['saccade'] = None\n"
        "import timm, torch\n"
        "from pathlib import Path\n"
        "from safetensors.torch import load_file\n"
        "for name in sys.argv[2:]:\n"
        "    known = load_file(Path(sys.argv[1]) / f'{name}.expected')\n"
        "    network = timm.create_model(f'local-dir:{sys.argv[1]}/{name}', pretrained=True)\n"
        "    cfg = timm.data.resolve_model_data_config(network)\n"
        "    with torch.no_grad():\n"
        "        logits = network.eval()(known['images'])\n"
        "    error = float((logits - known['logits']).abs().max())\n"
        "    labels = network.pretrained_cfg['label_names']\n"
        "    print(name, error <= 1e-4, cfg['input_size'][1], *labels)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *expected],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.stdout.splitlines() == [
        "test_resnet True 160 ant bee cat",
        "test_vit True 96 ant bee cat",
        "resnetv2_18 True 64 ant bee cat",
        "xception True 64 ant bee cat",
    ]


class TestWriting:
    def test_an_older_model_is_replaced_whole(self, saved: Path, build, task: Task) -> None:
        network, preprocess = build("mlp", **SMALL)
        bundle.save(saved, network, task=task, preprocess=preprocess, provenance={})
        assert bundle.load(saved).network.name == "mlp"
        assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]
        assert [p.name for p in saved.parent.iterdir()] == ["model"]

    def test_something_else_is_never_replaced(self, tmp_path: Path, build, task: Task) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")
        network, preprocess = build("mlp", **SMALL)
        with pytest.raises(UsageError) as caught:
            bundle.save(tmp_path, network, task=task, preprocess=preprocess, provenance={})
        assert str(caught.value) == (
            "There is something else where the model should be written.\n"
            f"  where: {tmp_path}\n"
            "  fix:   name another folder"
        )
        assert (tmp_path / "thesis.txt").read_text() == "years of work"

    @pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
    def test_a_disk_that_fails_leaves_the_old_model_and_nothing_else(
        self, call: int, saved: Path, build, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()}
        calls = iter(range(1, 100))

        def failing(_handle: object) -> None:
            if next(calls) == call:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", failing)
        network, preprocess = build("mlp", **SMALL)
        golden = [GoldenPicture(name="a.png", content=b"x", logits=(0.0, 0.0, 0.0))]
        with pytest.raises(ResourceError) as caught:
            bundle.save(
                saved, network, task=task, preprocess=preprocess, provenance={}, golden=golden
            )
        assert caught.value.code == "SACCADE-E401"
        assert (caught.value.where or "").startswith(str(saved))
        assert {p: p.read_bytes() for p in saved.rglob("*") if p.is_file()} == before
        assert [p.name for p in saved.parent.iterdir()] == ["model"]

    def test_a_rename_that_fails_brings_the_old_model_back(
        self, saved: Path, build, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = Path.rename

        def failing(self: Path, target: Path) -> Path:
            if self.suffix == ".part":
                raise OSError(5, "Input/output error")
            return plain(self, target)

        monkeypatch.setattr(Path, "rename", failing)
        network, preprocess = build("mlp", **SMALL)
        with pytest.raises(ResourceError):
            bundle.save(saved, network, task=task, preprocess=preprocess, provenance={})
        assert bundle.load(saved).network.name == "cnn"
        assert [p.name for p in saved.parent.iterdir()] == ["model"]


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def drop_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["stages.0.conv1.weight"]
    save_file(state, folder / "model.safetensors")
    rehash(folder)


def add_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    save_file(state | {"backdoor": torch.zeros(2)}, folder / "model.safetensors")
    rehash(folder)


def other_weights(folder: Path) -> None:
    other = backbones.create(backbones.find("test_resnet"), num_outputs=3)
    save_file(other.state_dict(), folder / "model.safetensors")
    rehash(folder)


def not_finite(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["classifier.bias"][0] = float("nan")
    save_file(state, folder / "model.safetensors")
    rehash(folder)


def pickled(folder: Path) -> None:
    torch.save({"a": torch.zeros(1)}, folder / "model.safetensors")
    rehash(folder)


def truncated(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-10])
    rehash(folder)


def flipped(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder, change)


CONFIG = "config.json of this model is not right: "
CHANGED = (
    "config.json was changed after the model was saved: its `architecture`, or what stands under "
    "`saccade` (classes, preprocessing, calibration)."
)


def swapped_by_hand(folder: Path) -> None:
    """Exchange two classes wherever they are named, so that no part contradicts another."""

    def change(config: dict[str, Any]) -> None:
        for names in (config["label_names"], config["saccade"]["task"]["classes"]):
            names[0], names[1] = names[1], names[0]

    edit(folder, change, sealed=False)


def renamed_by_hand(folder: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        for names in (config["label_names"], config["saccade"]["task"]["classes"]):
            names[0] = "something else"

    edit(folder, change, sealed=False)


def normalised_by_hand(folder: Path) -> None:
    edit(folder, lambda c: c["saccade"]["preprocess"].update(mean=[0.1, 0.2, 0.3]), sealed=False)


WRONGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no config": (
        lambda f: (f / "config.json").unlink(),
        "510",
        "This is not a model folder: it has no config.json.",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        "510",
        "A file of this model is missing: model.safetensors.",
    ),
    "no golden picture": (
        lambda f: (f / "golden" / "000.jpg").unlink(),
        "510",
        "A file of this model is missing: golden/000.jpg.",
    ),
    "config not JSON": (
        lambda f: (f / "config.json").write_text("{"),
        "511",
        CONFIG + "it is not JSON.",
    ),
    "config a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "511",
        CONFIG + "it is not a JSON object.",
    ),
    "config too deep": (
        lambda f: (f / "config.json").write_text("[" * 100_000),
        "511",
        CONFIG + "it is not JSON.",
    ),
    "config of 200 MB": (
        lambda f: sparse(f / "config.json", 200_000_000),
        "511",
        CONFIG + "it is 200 MB long, and 4 MB is the most.",
    ),
    "written by timm": (
        edited(lambda c: c.pop("saccade")),
        "512",
        CONFIG + "it has no section `saccade`, so another program wrote it.",
    ),
    "no version": (
        edited(lambda c: c["saccade"].update(format_version="1")),
        "512",
        CONFIG + "its format_version is '1'.",
    ),
    "newer version": (
        edited(lambda c: c["saccade"].update(format_version=5)),
        "514",
        "This model is of format 5; this saccade reads up to 4.",
    ),
    "missing entry": (
        edited(lambda c: c["saccade"].pop("task")),
        "512",
        CONFIG + "the section `saccade` has not the entries it should, missing: task.",
    ),
    "unknown entry": (
        edited(lambda c: c["saccade"].update(run="rm -rf")),
        "512",
        CONFIG + "the section `saccade` has not the entries it should, unknown: run.",
    ),
    "1e9 classes": (
        edited(lambda c: c.update(num_classes=1_000_000_000)),
        "515",
        CONFIG + "num_classes is 1000000000, but its task has 3 output(s).",
    ),
    "another class": (
        edited(lambda c: c.update(label_names=["ant", "bee", "dog"])),
        "515",
        CONFIG + "label_names are not the classes of its task (missing: cat; unknown: dog).",
    ),
    "another order": (
        edited(lambda c: c.update(label_names=["bee", "ant", "cat"])),
        "515",
        CONFIG + "label_names are not the classes of its task (the same in another order: bee, "
        "ant, cat).",
    ),
    "a class too many": (
        edited(
            lambda c: (
                c["saccade"]["task"]["classes"].append("dog"),
                c.update(num_classes=4, label_names=["ant", "bee", "cat", "dog"]),
                c["saccade"]["spec"].update(num_outputs=4),
                c["saccade"]["files"].pop("golden/golden.json"),
            )
        ),
        "517",
        "The weights are not those of cnn: tensors are 2 of another shape (classifier.weight 3×8 "
        "instead of 4×8, classifier.bias 3 instead of 4).",
    ),
    "classes twice": (
        edited(lambda c: c["saccade"]["task"].update(classes=["ant", "ant", "cat"])),
        "512",
        CONFIG + "its classes are not distinct, or too many or few.",
    ),
    "classes not names": (
        edited(lambda c: c["saccade"]["task"].update(classes=[1, 2, 3])),
        "512",
        CONFIG + "its classes are not a list of names.",
    ),
    "unknown task": (
        edited(lambda c: c["saccade"]["task"].update(kind="segmentation")),
        "512",
        CONFIG + "its task is of an unknown kind or scale.",
    ),
    "preprocess out of range": (
        edited(lambda c: c["saccade"]["preprocess"].update(std=[0, 0, 0])),
        "512",
        CONFIG + "its preprocess is out of range.",
    ),
    "preprocess of another size": (
        edited(lambda c: c["saccade"]["preprocess"].update(size_px=32)),
        "515",
        CONFIG + "pretrained_cfg and preprocess speak of different sizes.",
    ),
    "path outside": (
        edited(lambda c: c["saccade"]["files"].update({"../../secret": "0"})),
        "512",
        CONFIG + "it names a file that may not be there, '../../secret'.",
    ),
    "absolute path": (
        edited(lambda c: c["saccade"]["files"].update({"/etc/hostname": "0"})),
        "512",
        CONFIG + "it names a file that may not be there, '/etc/hostname'.",
    ),
    "unknown architecture": (
        edited(lambda c: c.update(architecture="resnet5o")),
        "516",
        "",
    ),
    "architecture from elsewhere": (
        edited(lambda c: c.update(architecture="hf-hub:evil/model")),
        "516",
        "",
    ),
    "architecture not a name": (
        edited(lambda c: c.update(architecture=["cnn"])),
        "516",
        CONFIG + "it names no architecture.",
    ),
    "a giant": (
        edited(lambda c: c.update(architecture="vit_giant_patch14_dinov2")),
        "517",
        "",
    ),
    "spec with a command": (
        edited(lambda c: c["saccade"]["spec"].update(system="rm")),
        "516",
        CONFIG + "its network is not described completely.",
    ),
    "spec out of range": (
        edited(lambda c: c["saccade"]["spec"].update(kernel=4)),
        "516",
        CONFIG + "its network cannot be built: --kernel is 4, but must be an odd number from 1 to "
        "11.",
    ),
    "another architecture's weights": (other_weights, "517", ""),
    "missing tensor": (
        drop_tensor,
        "517",
        "The weights are not those of cnn: tensors are 1 missing (stages.0.conv1.weight).",
    ),
    "unknown tensor": (
        add_tensor,
        "517",
        "The weights are not those of cnn: tensors are 1 unknown (backdoor).",
    ),
    "NaN weights": (
        not_finite,
        "503",
        "1 of 28 tensors hold values that are not numbers: classifier.bias.",
    ),
    "pickled weights": (
        pickled,
        "501",
        "Weights are read from safetensors files only; this is a zip archive (what torch.save, "
        "torch.export and joblib write).",
    ),
    "truncated weights": (truncated, "502", ""),
    "no hash of its own": (
        edited(lambda c: c["saccade"].pop("sha256")),
        "512",
        CONFIG + "the section `saccade` has not the entries it should, missing: sha256.",
    ),
    "classes swapped": (swapped_by_hand, "513", CHANGED),
    "another class's name": (renamed_by_hand, "513", CHANGED),
    "another mean": (normalised_by_hand, "513", CHANGED),
    "changed weights": (flipped, "513", ""),
    "changed golden picture": (
        lambda f: (f / "golden" / "000.jpg").write_bytes(b"other"),
        "513",
        "",
    ),
}


def outcome(folder: Path) -> str:
    """Return the code of the error that loading ends in, or what else happened."""
    begun = time.perf_counter()
    try:
        bundle.load(folder)
    except SaccadeError as error:
        code = error.code
    except Exception as error:  # noqa: BLE001 - what must not happen
        return type(error).__name__
    else:
        return "loaded"
    return code if time.perf_counter() - begun < 1 else "slow"


def test_what_is_timms_in_config_json_may_be_edited(saved: Path) -> None:
    """As one does for the hub: a licence, a description, words for the labels."""

    def change(config: dict[str, Any]) -> None:
        config["pretrained_cfg"].update(license="cc0-1.0", description="ants and bees")
        config["label_descriptions"] = {"ant": "six legs"}

    edit(saved, change, sealed=False)
    assert bundle.load(saved).network.licence == "cc0-1.0"


def test_a_model_that_does_not_know_the_hash_of_its_config_loads_as_before(saved: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        del config["saccade"]["sha256"]
        config["saccade"]["format_version"] = 2

    edit(saved, change)
    assert outcome(saved) == "loaded"


class TestRowD2:
    """Every wrong model folder ends in a named artefact error within a second."""

    @pytest.mark.parametrize("wrong", WRONGS)
    def test_a_wrong_model_folder_is_refused_with_the_reason(self, wrong: str, saved: Path) -> None:
        backbones.find("test_resnet")  # importing timm is not part of the second
        make, code, sentence = WRONGS[wrong]
        make(saved)
        with grows_less_than(200):
            assert outcome(saved) == f"SACCADE-E{code}"
        with pytest.raises(ArtefactError) as caught:
            bundle.load(saved)
        if sentence:
            assert caught.value.message == sentence
        assert str(saved) in (caught.value.where or "")
        assert caught.value.fix

    GUARDS: ClassVar[dict[str, tuple[object, str, object]]] = {
        "config of 5 MB": (manifest, "MAX_BYTES", 10**9),
        "1e9 classes": (manifest, "check_agreement", lambda *_, **__: None),
        "another order": (manifest, "check_agreement", lambda *_, **__: None),
        "changed weights": (manifest, "check_files", lambda *_: None),
        "NaN weights": (tensors, "_is_finite", lambda _: True),
        "newer version": (manifest, "FORMAT_VERSION", 99),
        "classes swapped": (manifest, "check_unchanged", lambda *_: None),
    }

    @pytest.mark.parametrize("wrong", GUARDS)
    def test_a_wrong_model_folder_is_refused_negative_control(
        self, wrong: str, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if wrong == "config of 5 MB":
            config = (saved / "config.json").read_text()
            (saved / "config.json").write_text(config + " " * 5_000_000)
        else:
            WRONGS[wrong][0](saved)
        assert outcome(saved).startswith("SACCADE-E5")
        owner, guard, without = self.GUARDS[wrong]
        monkeypatch.setattr(owner, guard, without)
        assert outcome(saved) == "loaded"

    def test_a_giant_is_refused_without_memory_negative_control(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Unlimited(bundle.Blank):
            def __init__(self, *, max_numbers: int = 0) -> None:
                super().__init__()

        edit(saved, lambda c: c.update(architecture="resnet18"))
        with pytest.raises(ArtefactError, match="needs more than twice the"):
            bundle.load(saved)
        monkeypatch.setattr(bundle, "Blank", Unlimited)
        with pytest.raises(ArtefactError, match="tensors are"):  # built whole before it is refused
            bundle.load(saved)


class TestRowC8:
    """A model of other classes or another network is refused with the difference."""

    @pytest.mark.parametrize(
        ("asked", "name", "difference"),
        [
            (("ant", "bee", "dog"), "", "its classes differ (missing: dog; unknown: cat)"),
            (
                ("bee", "ant", "cat"),
                "",
                "its classes differ (the same in another order: ant, bee, cat)",
            ),
            (("ant", "bee"), "", "its classes differ (unknown: cat)"),
            (("ant", "bee", "cat"), "resnet18", "it is cnn, not resnet18"),
        ],
    )
    def test_another_question_is_refused(
        self, asked: tuple[str, ...], name: str, difference: str, saved: Path
    ) -> None:
        found = bundle.load(saved)
        with pytest.raises(ArtefactError) as caught:
            bundle.check_same(found, task=Task(kind="multiclass", classes=asked), name=name)
        assert str(caught.value) == (
            f"This model does not answer what is asked: {difference}.\n"
            "  where: the model folder of cnn\n"
            "  fix:   take the model that was trained on these classes, or train a new one"
        )

    def test_another_kind_of_task_is_refused(self, saved: Path) -> None:
        found = bundle.load(saved)
        with pytest.raises(ArtefactError, match="its task is multiclass, not multilabel"):
            bundle.check_same(found, task=Task(kind="multilabel", classes=found.task.classes))

    def test_the_same_question_is_answered(self, saved: Path, task: Task) -> None:
        assert bundle.check_same(bundle.load(saved), task=task, name="cnn") is None

    def test_another_order_is_refused_negative_control(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(manifest, "class_difference", lambda *_: "")
        asked = Task(kind="multiclass", classes=("cat", "bee", "ant"))
        assert bundle.check_same(bundle.load(saved), task=asked) is None


def test_a_model_folder_can_be_the_weights_of_the_next_training(
    build, task: Task, tmp_path: Path
) -> None:
    from saccade.models.weights import fetch

    donor, preprocess = build("test_resnet", seed=9)
    bundle.save(tmp_path / "m", donor, task=task, preprocess=preprocess, provenance={})
    network, _ = build("test_resnet", weights=fetch("test_resnet", weights=str(tmp_path / "m")))
    assert torch.equal(network.classifier.weight, donor.classifier.weight)


def test_a_copied_folder_is_the_same_model(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "elsewhere")
    with torch.no_grad():
        first = bundle.load(saved).network(pictures(16))
        assert torch.equal(bundle.load(tmp_path / "elsewhere").network(pictures(16)), first)

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from saccade.models import backbones, tensors, weights
from saccade.models.network import Network
from saccade.models.weights import Weights, fetch, load_into
from saccade.runtime import store
from saccade.runtime.errors import ArtefactError, ResourceError, SaccadeError, UsageError

REAL = Path(__file__).parents[3] / "shared" / "weights" / "mobilenetv2_100.safetensors"
RESNET = "timm/test_resnet.r160_in1k"


@pytest.fixture
def pretrained() -> dict[str, torch.Tensor]:
    """What the hub would give for test_resnet: a network with 1,000 classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = backbones.create(backbones.find("test_resnet"), num_outputs=1000)
    return network.state_dict()


@pytest.fixture
def weights_of(tmp_path: Path) -> Callable[[dict[str, torch.Tensor]], Weights]:
    def write(state: dict[str, torch.Tensor]) -> Weights:
        path = tmp_path / "w.safetensors"
        tensors.write(path, state)
        return Weights(path=path, sha256="", licence="", source="")

    return write


class TestWhereWeightsComeFrom:
    def test_none_wants_none(self) -> None:
        assert fetch("test_resnet", weights="none") is None

    def test_networks_from_scratch_have_none(self) -> None:
        assert fetch("cnn") is None
        assert fetch("mlp", weights="none") is None

    def test_networks_from_scratch_refuse_them(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            fetch("cnn", weights="w.safetensors")
        assert str(caught.value) == (
            "cnn learns from scratch and takes no weights, but --weights is 'w.safetensors'.\n"
            "  where: --weights\n"
            "  fix:   leave --weights out, or choose a timm architecture with --model"
        )

    def test_a_file_is_taken_as_it_is_named(
        self, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        path = tmp_path / "anything"
        save_file(pretrained, path)
        found = fetch("test_resnet", weights=str(path))
        assert found == Weights(
            path=path, sha256=store.sha256(path), licence="", source="file anything"
        )

    @pytest.mark.parametrize(
        "name",
        [
            "test_resnet.safetensors",
            "test_resnet.r160_in1k.safetensors",
            "test_resnet/model.safetensors",
            "model.safetensors",
        ],
    )
    def test_a_folder_holds_them_under_one_of_the_known_names(
        self, name: str, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_file(pretrained, tmp_path / name)
        found = fetch("test_resnet", weights=str(tmp_path))
        assert found is not None
        assert found.path == tmp_path / name

    def test_a_model_folder_states_the_licence(
        self, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        save_file(pretrained, tmp_path / "model.safetensors")
        config = {"architecture": "test_resnet", "pretrained_cfg": {"license": "mit"}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        found = fetch("test_resnet", weights=str(tmp_path))
        assert found is not None
        assert found.licence == "mit"

    def test_a_folder_of_another_architecture_does_not_count(
        self, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        save_file(pretrained, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
        with pytest.raises(ResourceError) as caught:
            fetch("test_resnet", weights=str(tmp_path))
        assert caught.value.code == "SACCADE-E413"
        address = backbones.address(backbones.find("test_resnet"))
        assert str(caught.value) == (
            "The folder holds no weights for test_resnet: looked for test_resnet.safetensors, "
            "test_resnet.r160_in1k.safetensors, test_resnet/model.safetensors, "
            "test_resnet.r160_in1k/model.safetensors.\n"
            f"  where: --weights {tmp_path}\n"
            "  fix:   put the weights there under one of these names, or name the file itself; "
            f"fetch {address} on another machine and name the file with --weights FILE, or "
            "begin from random weights with --weights none"
        )

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ResourceError) as caught:
            fetch("test_resnet", weights=str(tmp_path / "w.safetensors"))
        assert caught.value.code == "SACCADE-E412"
        assert str(caught.value).splitlines()[:2] == [
            "There is no such file or folder of weights.",
            f"  where: --weights {tmp_path / 'w.safetensors'}",
        ]

    @pytest.mark.parametrize("suffix", [".pt", ".bin", ".safetensors"])
    def test_a_pickle_is_refused_before_anything_is_built(
        self, suffix: str, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        path = tmp_path / f"w{suffix}"
        torch.save(pretrained, path)
        with pytest.raises(ArtefactError, match="this is a zip archive") as caught:
            fetch("test_resnet", weights=str(path))
        assert caught.value.code == "SACCADE-E501"

    def test_pickles_in_a_folder_are_not_even_looked_at(
        self, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        for name in ("pytorch_model.bin", "test_resnet.pth", "model.pt"):
            torch.save(pretrained, tmp_path / name)
        with pytest.raises(ResourceError, match="holds no weights"):
            fetch("test_resnet", weights=str(tmp_path))

    def test_the_variable_names_a_folder(
        self,
        tmp_path: Path,
        pretrained: dict[str, torch.Tensor],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        save_file(pretrained, tmp_path / "test_resnet.safetensors")
        monkeypatch.setenv("SACCADE_WEIGHTS", str(tmp_path))
        found = fetch("test_resnet")
        assert found is not None
        assert found.path == tmp_path / "test_resnet.safetensors"

    def test_the_variable_names_a_file_that_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SACCADE_WEIGHTS", str(tmp_path / "gone"))
        with pytest.raises(ResourceError, match="no such file") as caught:
            fetch("test_resnet")
        assert caught.value.where == f"SACCADE_WEIGHTS {tmp_path / 'gone'}"

    def test_an_unknown_network_is_met_with_the_nearest_names(self) -> None:
        with pytest.raises(UsageError) as caught:
            fetch("resnet5o", weights="none")
        assert caught.value.code == "SACCADE-E210"
        assert str(caught.value).startswith(
            "There is no network named 'resnet5o'; the nearest names are resnet50"
        )

    def test_an_unknown_tag_is_met_with_the_known_ones(self) -> None:
        with pytest.raises(UsageError) as caught:
            fetch("test_resnet.nobodys", weights="none")
        assert str(caught.value) == (
            "test_resnet has no weights named 'nobodys'; it has r160_in1k.\n"
            "  where: --model\n"
            "  fix:   choose one of these, or write test_resnet alone"
        )


class TestTheHub:
    def test_one_safetensors_file_is_fetched_kept_and_found_again(
        self, hub, hub_place: Callable[[str], None], pretrained: dict[str, torch.Tensor]
    ) -> None:
        hub_place(hub.address)
        hub.files[RESNET] = save(pretrained)
        first = fetch("test_resnet")
        assert first is not None
        assert first.source == f"the hub, {RESNET}"
        assert first.licence == "apache-2.0"  # timm's pretrained_cfg of test_resnet
        assert [q for q in hub.asked if not q.endswith("/model.safetensors")] == []
        hub.asked.clear()
        assert fetch("test_resnet") == first
        assert hub.asked == []

    def test_a_tag_is_another_repository(
        self, hub, hub_place: Callable[[str], None], pretrained: dict[str, torch.Tensor]
    ) -> None:
        hub_place(hub.address)
        with pytest.raises(ResourceError, match="HTTP 404"):
            fetch("resnet50.tv2_in1k")
        assert all("/timm/resnet50.tv2_in1k/" in question for question in hub.asked)

    def test_the_folder_of_the_variable_comes_before_the_hub_and_the_hub_fills_in(
        self,
        hub,
        hub_place: Callable[[str], None],
        pretrained: dict[str, torch.Tensor],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        hub_place(hub.address)
        hub.files[RESNET] = save(pretrained)
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("SACCADE_WEIGHTS", str(tmp_path / "empty"))
        found = fetch("test_resnet")
        assert found is not None
        assert found.source == f"the hub, {RESNET}"

    def test_what_the_hub_does_not_have_is_an_error_with_the_manual_way(
        self, hub, hub_place: Callable[[str], None]
    ) -> None:
        hub_place(hub.address)
        with pytest.raises(ResourceError) as caught:
            fetch("test_resnet")
        assert str(caught.value) == (
            "The weights of test_resnet cannot be had: the hub has no such file (HTTP 404).\n"
            f"  where: {RESNET}/model.safetensors\n"
            f"  fix:   fetch {hub.address}/{RESNET}/resolve/main/model.safetensors on another "
            "machine and name the file with --weights FILE, or begin from random weights with "
            "--weights none"
        )

    def test_offline_is_respected(
        self, hub, hub_place: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import huggingface_hub

        hub_place(hub.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ResourceError, match="HF_HUB_OFFLINE is set"):
            fetch("test_resnet")
        assert hub.asked == []

    def test_an_architecture_without_weights_says_so(
        self, hub, hub_place: Callable[[str], None]
    ) -> None:
        hub_place(hub.address)
        with pytest.raises(ResourceError) as caught:
            fetch("test_maxvit")
        assert caught.value.message == "Nobody publishes weights for test_maxvit as safetensors."
        assert hub.asked == []

    @pytest.mark.slow
    def test_the_variables_of_the_hub_are_respected_in_a_fresh_process(
        self, hub, tmp_path: Path, pretrained: dict[str, torch.Tensor]
    ) -> None:
        hub.files[RESNET] = save(pretrained)
        program = (
            "import os, sys\n"
            "from saccade.models.weights import fetch\n"
            "import huggingface_hub\n"
            "from saccade.runtime.errors import ResourceError\n"
            "print(fetch('test_resnet').path)\n"
            "huggingface_hub.constants.HF_HUB_OFFLINE = True\n"
            "print(fetch('test_resnet').path)\n"
            "try:\n"
            "    fetch('test_efficientnet')\n"
            "except ResourceError as error:\n"
            "    print(error.code)\n"
            "print(huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY)\n"
        )
        variables = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
        hidden = {"SACCADE_WEIGHTS", "HF_HUB_OFFLINE", "HF_HUB_CACHE"}
        inherited = {k: v for k, v in os.environ.items() if k not in hidden}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=inherited | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        first, again, code, quiet = done.stdout.split()
        assert Path(first).is_relative_to(tmp_path / "home")
        assert (again, code, quiet) == (first, "SACCADE-E411", "True")


class TestRowC9:
    """Without a network: an error within 3 s that names the file and the manual way."""

    @pytest.fixture
    def silent(self) -> str:
        """Return the address of a server that takes the connection and says nothing."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def failed_fetch(self) -> tuple[str, float]:
        begun = time.perf_counter()
        with pytest.raises(ResourceError) as caught:
            fetch("test_resnet")
        return str(caught.value), time.perf_counter() - begun

    def test_a_closed_port_is_told_at_once(self, hub_place: Callable[[str], None]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
        hub_place(address)
        text, seconds = self.failed_fetch()
        assert seconds < 3
        assert re.sub(r"\(\w+\)", "(…)", text) == (
            "The weights of test_resnet cannot be had: the hub cannot be reached (…).\n"
            f"  where: {RESNET}/model.safetensors\n"
            f"  fix:   fetch {address}/{RESNET}/resolve/main/model.safetensors on another machine "
            "and name the file with --weights FILE, or begin from random weights with "
            "--weights none"
        )

    def test_a_server_that_never_answers_is_told_within_3_s(
        self, silent: str, hub_place: Callable[[str], None]
    ) -> None:
        hub_place(silent)
        text, seconds = self.failed_fetch()
        assert seconds < 3
        assert "test_resnet cannot be had" in text
        self.listener.close()

    @staticmethod
    def stall(monkeypatch: pytest.MonkeyPatch, hub_place: Callable[[str], None]) -> None:
        """Let name look-ups hang, as behind a firewall; the limit and the hang are shortened."""

        def hang(*_: object, **__: object) -> None:
            time.sleep(1.5)
            raise OSError

        hub_place("http://hub.invalid")
        monkeypatch.setattr(socket, "getaddrinfo", hang)
        monkeypatch.setattr(backbones, "ANSWER_SECONDS", 0.4)

    def test_a_name_look_up_that_hangs_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, hub_place: Callable[[str], None]
    ) -> None:
        self.stall(monkeypatch, hub_place)
        text, seconds = self.failed_fetch()
        assert seconds < 1.2
        assert "the hub did not answer within 0.4 s" in text

    def test_a_name_look_up_that_hangs_is_not_waited_for_negative_control(
        self, monkeypatch: pytest.MonkeyPatch, hub_place: Callable[[str], None]
    ) -> None:
        def patient(_seconds: float, question: Callable[[], object]) -> object:
            try:
                return question()
            except Exception as error:
                raise ConnectionError("late") from error

        self.stall(monkeypatch, hub_place)
        monkeypatch.setattr(backbones, "_within", patient)
        _, seconds = self.failed_fetch()
        assert seconds > 1.4

    @pytest.fixture
    def corrupted(self, hub, hub_place: Callable[[str], None], pretrained) -> None:
        """Let the hub announce another hash than its file has."""
        hub_place(hub.address)
        hub.files[RESNET] = save(pretrained)
        hub.announced[RESNET] = "0" * 64

    @pytest.mark.usefixtures("corrupted")
    def test_a_corrupted_download_is_refused_and_removed(self) -> None:
        with pytest.raises(ArtefactError) as caught:
            fetch("test_resnet")
        assert caught.value.code == "SACCADE-E504"
        assert re.sub(r"[0-9a-f]{12}… met", "(…) met", caught.value.message) == (
            "The weights of test_resnet are not what the hub announced: SHA-256 000000000000… "
            "expected, (…) met."
        )
        assert not Path(caught.value.where or "").exists()

    @pytest.mark.usefixtures("corrupted")
    def test_a_corrupted_download_is_refused_negative_control(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "sha256", lambda _: "0" * 64)
        assert fetch("test_resnet") is not None

    def test_a_file_that_rotted_in_the_cache_is_refused(
        self, hub, hub_place: Callable[[str], None], pretrained: dict[str, torch.Tensor]
    ) -> None:
        hub_place(hub.address)
        hub.files[RESNET] = save(pretrained)
        found = fetch("test_resnet")
        assert found is not None
        content = bytearray(found.path.read_bytes())
        content[-1] ^= 1
        found.path.resolve().write_bytes(content)
        with pytest.raises(ArtefactError, match="not what the hub announced") as caught:
            fetch("test_resnet")
        assert "delete that file" in (caught.value.fix or "")

    @pytest.mark.slow
    @pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
    def test_without_any_network_at_all(self, tmp_path: Path) -> None:
        if subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode:
            pytest.skip("user namespaces are not permitted here")
        program = (
            "import time\n"
            "from saccade.models import backbones\n"
            "from saccade.models.weights import fetch\n"
            "backbones.address(backbones.find('test_resnet'))\n"
            "begun = time.perf_counter()\n"
            "try:\n"
            "    fetch('test_resnet')\n"
            "except Exception as error:\n"
            "    print(error.code, time.perf_counter() - begun < 3)\n"
            "print(fetch('test_resnet', weights='none'))\n"
        )
        hidden = {"SACCADE_WEIGHTS", "HF_HUB_OFFLINE", "HF_HUB_CACHE"}
        variables = {k: v for k, v in os.environ.items() if k not in hidden}
        done = subprocess.run(
            ["unshare", "-rn", sys.executable, "-c", program],
            env=variables | {"HF_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["SACCADE-E411", "True", "None"]


class TestLoading:
    def load(self, network: Network, found: Weights) -> tuple[str, ...]:
        classifier = network.classifier_name
        return load_into(network.body, found, name=network.name, classifier=classifier)

    def test_a_classifier_of_another_size_is_dropped_and_that_is_said(
        self, build, pretrained: dict[str, torch.Tensor], weights_of
    ) -> None:
        network, _ = build("test_resnet", weights=weights_of(pretrained))
        assert network.notes == (
            "The weights' own head has 1,000 outputs; a new one is made for this task (3).",
        )
        state = network.body.state_dict()
        rest = [key for key in pretrained if not key.startswith("fc.")]
        assert len(rest) == len(state) - 2
        assert all(torch.equal(state[key], pretrained[key]) for key in rest)
        assert network.classifier.weight.shape == (3, 96)
        assert network.classifier.weight.isfinite().all()

    def test_a_classifier_of_the_same_size_is_kept_without_a_word(self, build, weights_of) -> None:
        donor, _ = build("test_resnet", seed=3)
        network, _ = build("test_resnet", weights=weights_of(donor.body.state_dict()))
        assert network.notes == ()
        assert torch.equal(network.classifier.weight, donor.classifier.weight)

    def test_weights_without_a_classifier_are_taken(
        self, build, pretrained: dict[str, torch.Tensor], weights_of
    ) -> None:
        del pretrained["fc.weight"], pretrained["fc.bias"]
        network, _ = build("test_resnet", weights=weights_of(pretrained))
        assert network.notes == (
            "The weights come without a head; a new one is made for this task (3).",
        )

    def test_the_same_seed_gives_the_same_new_classifier(
        self, build, pretrained: dict[str, torch.Tensor], weights_of
    ) -> None:
        found = weights_of(pretrained)
        heads = [
            build("test_resnet", weights=found, seed=s)[0].classifier.weight for s in (1, 1, 2)
        ]
        assert torch.equal(heads[0], heads[1])
        assert not torch.equal(heads[0], heads[2])

    def test_older_layouts_are_converted_by_timm(self, build, weights_of) -> None:
        # The names of the authors' own ConvNeXt files, from their repository's convnext.py.
        donor = backbones.create(backbones.find("test_convnext"), num_outputs=3).state_dict()
        network, _ = build("test_convnext", weights=weights_of(self.authors_names(donor)))
        state = network.body.state_dict()
        assert all(torch.equal(state[key], tensor) for key, tensor in donor.items())

    @staticmethod
    def authors_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        changes = [
            (r"^stem\.", "downsample_layers.0."),
            (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
            (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
            (r"\.conv_dw\.", ".dwconv."),
            (r"\.mlp\.fc", ".pwconv"),
            (r"^head\.norm\.", "norm."),
            (r"^head\.fc\.", "head."),
        ]
        renamed = {}
        for name, tensor in state.items():
            for old, new in changes:
                name = re.sub(old, new, name)
            renamed[name] = tensor
        return renamed

    def test_position_embeddings_are_resampled_for_another_size(self, build, weights_of) -> None:
        donor = backbones.create(backbones.find("test_vit"), num_outputs=3).state_dict()
        network, preprocess = build("test_vit", weights=weights_of(donor), img_size=96)
        assert preprocess.size_px == 96
        assert network.body.state_dict()["pos_embed"].shape == (1, 1 + 6 * 6, 64)
        assert network.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 3)

    def test_half_precision_is_read_as_single(self, build, pretrained, weights_of) -> None:
        halves = {k: t.half() if t.is_floating_point() else t for k, t in pretrained.items()}
        network, _ = build("test_resnet", weights=weights_of(halves))
        assert {p.dtype for p in network.parameters()} == {torch.float32}


class TestRowC8:
    """Weights of another network are refused with the difference, never loaded in part."""

    @staticmethod
    def others(state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
        """Return weights that do not fit, by what is wrong with them."""
        missing = {key: tensor for key, tensor in state.items() if key != "layer1.0.conv1.weight"}
        extra = state | {"layer9.weight": torch.zeros(2)}
        shape = state | {"bn1.weight": torch.zeros(7)}
        kind = state | {"bn1.weight": torch.zeros(24, dtype=torch.int64)}
        other = backbones.create(backbones.find("test_efficientnet"), num_outputs=3).state_dict()
        return {"missing": missing, "extra": extra, "shape": shape, "kind": kind, "other": other}

    @pytest.mark.parametrize(
        ("what", "difference"),
        [
            ("missing", "1 missing (layer1.0.conv1.weight)"),
            ("extra", "1 unknown (layer9.weight)"),
            ("shape", "1 of another shape (bn1.weight 7 instead of 32)"),
            ("kind", "1 of another shape (bn1.weight 24 integer instead of 32)"),
        ],
    )
    def test_weights_that_do_not_fit_are_refused_with_the_difference(
        self, what: str, difference: str, build, pretrained, weights_of
    ) -> None:
        found = weights_of(self.others(pretrained)[what])
        with pytest.raises(ArtefactError) as caught:
            build("test_resnet", weights=found)
        assert str(caught.value) == (
            f"These weights are not for test_resnet: tensors are {difference}.\n"
            f"  where: {found.path}\n"
            "  fix:   name the architecture they belong to with --model, or other weights"
        )

    def refused(self, build, pretrained, weights_of) -> list[str]:
        names = []
        for name, state in self.others(pretrained).items():
            try:
                build("test_resnet", weights=weights_of(state))
            except SaccadeError as error:
                names.append(name if error.code == "SACCADE-E505" else error.code)
            except RuntimeError:
                pass
        return names

    def test_every_misfit_is_refused(self, build, pretrained, weights_of) -> None:
        found = self.refused(build, pretrained, weights_of)
        assert found == ["missing", "extra", "shape", "kind", "other"]

    def test_every_misfit_is_refused_negative_control(
        self, build, pretrained, weights_of, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loose = torch.nn.Module.load_state_dict

        def not_strict(module: torch.nn.Module, state: dict, strict: bool = True) -> object:
            return loose(module, state, strict=False)

        monkeypatch.setattr(weights, "_difference", lambda *_: "")
        monkeypatch.setattr(torch.nn.Module, "load_state_dict", not_strict)
        assert self.refused(build, pretrained, weights_of) == []


@pytest.mark.skipif(not REAL.is_file(), reason="the real weights are not at hand")
class TestRealWeights:
    def test_the_imagenet_weights_load_and_answer(self, build) -> None:
        found = fetch("mobilenetv2_100", weights=str(REAL.parent))
        assert found is not None
        network, preprocess = build("mobilenetv2_100", weights=found)
        assert network.num_features == 1280
        assert preprocess.size_px == 224
        state, own = load_file(REAL), network.body.state_dict()
        assert all(torch.equal(own[k], t) for k, t in state.items() if "classifier" not in k)
        with torch.no_grad():
            features = network.eval().features(torch.zeros(1, 3, 224, 224))
        assert features.shape == (1, 1280)
        assert features.isfinite().all()

    def test_they_are_refused_by_another_architecture(self, build) -> None:
        found = fetch("resnet18", weights=str(REAL))
        with pytest.raises(ArtefactError, match="These weights are not for resnet18"):
            build("resnet18", weights=found)

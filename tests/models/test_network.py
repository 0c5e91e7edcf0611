import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from saccade.data.task import Task
from saccade.models import backbones
from saccade.models import network as networks
from saccade.models.network import Network
from saccade.runtime.errors import UsageError
from saccade.training.recipe import Recipe

# Published counts with 1,000 classes. VGG-16: Simonyan and Zisserman (2014) by way of torchvision's
# documentation, as are the ResNets; Inception v3 there has 27,161,264 with its auxiliary head of
# 3,326,696 outputs' weights, which timm leaves out; Xception: the trainable ones of Keras'.
PUBLISHED = {
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "inception_v3": 27_161_264 - 3_326_696,
    "xception": 22_855_952,
    "mobilenetv2_100": 3_504_872,
}
FAMILIES = [
    "test_resnet",
    "test_efficientnet",
    "test_vit",
    "test_convnext",
    "test_nfnet",
    "test_byobnet",
    "mobilenetv2_050",
    "densenet121",
    "regnety_002",
    "mobilenetv3_small_050",
    "resnetv2_18",
    "rdnet_tiny",
    "xcit_nano_12_p16_224",
]


def images(network: Network, *, side: int = 0, count: int = 4) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        side = side or network.input_px
        return torch.randn(count, 3, side, side)


def step(network: Network, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    """Take two steps of gradient descent and return the state before them.

    Two, for timm starts residual branches at zero: the first step only opens them.
    """
    before = copy.deepcopy(network.state_dict())
    network.train()
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(pictures), torch.arange(len(pictures)) % 3)
        loss.backward()
        optimizer.step()
    return before


def changed(network: Network, before: dict[str, torch.Tensor]) -> set[str]:
    now = network.state_dict()
    return {name for name in now if not torch.equal(now[name], before[name])}


@pytest.mark.parametrize("name", PUBLISHED)
def test_named_networks_have_their_published_parameters(name: str) -> None:
    backbone = backbones.find(name)
    with torch.device("meta"), networks.Blank():
        body = backbones.create(backbone, num_outputs=1000)
    assert sum(p.numel() for p in body.parameters()) == PUBLISHED[name]
    size = 299 if name in {"inception_v3", "xception"} else 224
    assert backbone.input_px == size


@pytest.mark.parametrize(
    ("name", "side"),
    [("resnet18", 64), ("inception_v3", 96), ("xception", 64)]
    + [
        pytest.param(name, side, marks=pytest.mark.slow)
        for name, side in [
            ("vgg16", 224),
            ("resnet34", 224),
            ("resnet50", 224),
            ("resnet101", 224),
            ("resnet152", 224),
            ("inception_v3", 299),
            ("xception", 299),
        ]
    ],
)
def test_named_networks_answer_and_learn_from_the_end(name: str, side: int, build) -> None:
    network, preprocess = build(name)
    assert network.name == name
    assert network.classifier.out_features == 3
    assert preprocess.size_px == (299 if name in {"inception_v3", "xception"} else 224)
    network.set_stage_trainable(1)
    before = step(network, images(network, side=side, count=2))
    last = {id(p) for p in (*network.stages[-1].parameters, *network.classifier.parameters())}
    moved = changed(network, before)
    for key, parameter in network.named_parameters():
        if id(parameter) in last:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0
        else:
            assert key not in moved
    assert f"body.{network.classifier_name}.weight" in moved
    with torch.no_grad():
        assert network.eval()(images(network, side=side, count=1)).shape == (1, 3)


def test_vgg16_answers_and_its_gradients_reach_what_may_learn() -> None:
    # On the meta device: shapes and gradients without arithmetic. The slow test learns for real.
    with torch.device("meta"), networks.Blank():
        network = networks.from_backbone(backbones.find("vgg16"), num_outputs=3)
        pictures = torch.zeros(2, 3, 224, 224)
    network.set_stage_trainable(1)
    logits = network.train()(pictures)
    assert logits.shape == (2, 3)
    logits.sum().backward()
    reached = {n for n, p in network.body.named_parameters() if p.grad is not None}
    layers = ("pre_logits.fc1", "pre_logits.fc2", "head.fc")
    assert reached == {f"{layer}.{own}" for layer in layers for own in ("weight", "bias")}


class TestStages:
    @pytest.mark.parametrize("name", FAMILIES)
    def test_every_parameter_but_the_classifiers_is_in_exactly_one_stage(
        self, name: str, build
    ) -> None:
        network, _ = build(name)
        held = [id(p) for stage in network.stages for p in stage.parameters]
        head = [id(p) for p in network.classifier.parameters()]
        assert len(held) == len(set(held))
        assert sorted(held + head) == sorted(id(p) for p in network.parameters())
        assert [s.num_parameters for s in network.stages] == [
            sum(p.numel() for p in s.parameters) for s in network.stages
        ]
        assert len({s.name for s in network.stages}) == len(network.stages) >= 3

    @pytest.mark.parametrize("name", FAMILIES)
    def test_no_stage_learns_without_the_ones_after_it_being_reached(
        self, name: str, build
    ) -> None:
        """With the last stage free, gradients reach all of it and nothing before it."""
        network, _ = build(name)
        network.set_stage_trainable(1)
        network.train()
        network(images(network, count=2)).sum().backward()
        for stage in network.stages[:-1]:
            assert all(p.grad is None for p in stage.parameters)
        assert all(p.grad is not None for p in network.stages[-1].parameters)

    def test_vgg16_has_its_five_blocks_and_the_fully_connected_one(self) -> None:
        for name in ("vgg16", "vgg11_bn"):
            backbone = backbones.find(name)
            with torch.device("meta"), networks.Blank():
                network = networks.from_backbone(backbone, num_outputs=3)
            names = [stage.name for stage in network.stages]
            assert names == [f"block{n}" for n in range(1, 6)] + ["fully_connected"]
            counts = [stage.num_parameters for stage in network.stages]
            if name == "vgg16":
                # Closed form: k·k·C_in·C_out + C_out, 2, 2, 3, 3 and 3 convolutions.
                widths = [(3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3)]
                assert counts[:5] == [
                    9 * a * b + b + (n - 1) * (9 * b * b + b) for a, b, n in widths
                ]
                assert counts[5] == 25_088 * 4096 + 4096 + 4096 * 4096 + 4096

    @pytest.mark.parametrize(
        ("name", "stages"),
        [
            ("resnet18", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
            ("mobilenetv2_100", ["conv_stem", *(f"blocks.{n}" for n in range(7))]),
            ("xception", ["conv1", *(f"block{n}" for n in range(1, 13)), "conv3"]),
            ("densenet121", ["features.conv0", *(f"features.denseblock{n}" for n in range(1, 5))]),
        ],
    )
    def test_stages_are_called_as_in_the_weights_file(self, name: str, stages: list[str]) -> None:
        with torch.device("meta"), networks.Blank():
            network = networks.from_backbone(backbones.find(name), num_outputs=3)
        assert [stage.name for stage in network.stages] == stages

    def test_a_last_convolution_belongs_to_the_last_stage(self) -> None:
        with torch.device("meta"), networks.Blank():
            network = networks.from_backbone(backbones.find("mobilenetv2_100"), num_outputs=3)
        last = network.stages[-1].modules
        assert network.body.get_submodule("conv_head") in last
        assert network.body.get_submodule("bn2") in last


class TestFreezing:
    @pytest.mark.parametrize("name", ["cnn", "test_resnet", "test_efficientnet"])
    @pytest.mark.parametrize("n_last", [0, 1, 2])
    def test_frozen_means_parameters_and_statistics(self, name: str, n_last: int, build) -> None:
        network, _ = build(name)
        network.set_stage_trainable(n_last)
        before = step(network, images(network))
        first = len(network.stages) - n_last
        free = {id(m) for stage in network.stages[first:] for m in stage.modules}
        moved = changed(network, before)
        for key, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                assert (f"{key}.running_mean" in moved) == (id(module) in free)
                assert (f"{key}.weight" in moved) == (id(module) in free)
        assert f"body.{network.classifier_name}.weight" in moved

    def test_frozen_means_parameters_and_statistics_negative_control(
        self, build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network, _ = build("test_resnet")
        network.set_stage_trainable(0)
        monkeypatch.setattr(Network, "train", nn.Module.train)  # the guard is our own train()
        moved = changed(network, step(network, images(network)))
        assert "body.bn1.running_mean" in moved

    def test_dropout_and_drop_path_are_off_in_frozen_parts_only(self) -> None:
        with torch.device("meta"), networks.Blank():
            network = networks.from_backbone(backbones.find("vgg11"), num_outputs=3, drop=0.5)
        network.set_stage_trainable(0)
        network.train()
        drops = {n: m.training for n, m in network.body.named_modules() if "drop" in n}
        assert drops == {"pre_logits.drop": False, "head.drop": True}
        network.set_stage_trainable(1)
        drops = {n: m.training for n, m in network.body.named_modules() if "drop" in n}
        assert drops == {"pre_logits.drop": True, "head.drop": True}

    def test_blocks_that_ask_for_the_mode_themselves_are_frozen_too(self, build) -> None:
        network, _ = build("test_vit")
        network.set_stage_trainable(1)
        network.train()
        modes = {n: m.training for n, m in network.body.named_modules()}
        assert modes["blocks.0"] is modes["blocks.0.attn"] is False
        last = network.stages[-1].name
        assert modes[last] is modes[""] is modes["head"] is True

    def test_thawing_frees_everything_again(self, build) -> None:
        network, _ = build("test_resnet")
        network.set_stage_trainable(0)
        assert network.num_trainable == 96 * 3 + 3
        network.set_stage_trainable(len(network.stages))
        network.train()
        assert network.num_trainable == network.num_parameters
        assert all(module.training for module in network.modules())

    def test_a_number_of_stages_that_there_are_not_is_refused(self, build) -> None:
        network, _ = build("test_resnet")
        with pytest.raises(UsageError) as caught:
            network.set_stage_trainable(6)
        assert str(caught.value) == (
            "--unfreeze is 6, but test_resnet has 5 stages.\n"
            "  where: --unfreeze\n"
            "  fix:   give 0 to 5, or all"
        )


@pytest.mark.parametrize("name", [*FAMILIES, "cnn", "mlp"])
def test_the_classifier_of_the_features_is_the_answer(name: str, build) -> None:
    network, _ = build(name, drop=0.3)
    network.eval()
    with torch.no_grad():
        features = network.features(images(network, count=2))
        logits = network(images(network, count=2))
        assert features.shape == (2, network.num_features)
        again = nn.functional.linear(features, network.classifier.weight, network.classifier.bias)
    assert torch.allclose(again, logits, atol=1e-5)


def test_the_start_depends_on_the_seed_alone(build) -> None:
    for name in ("cnn", "test_efficientnet"):
        first = build(name, seed=1)[0].state_dict()
        torch.rand(7)
        before = torch.get_rng_state()
        again = build(name, seed=1)[0].state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        other = build(name, seed=2)[0].state_dict()
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("kind", "classes", "outputs"),
    [("binary", ("a", "b"), 1), ("regression", (), 1), ("multilabel", ("a", "b", "c"), 3)],
)
def test_the_head_has_the_outputs_of_the_task(
    kind: str, classes: tuple[str, ...], outputs: int
) -> None:
    task = Task(kind=kind, classes=classes)  # type: ignore[arg-type]
    for name in ("mlp", "test_resnet"):
        network, _ = networks.build(name, task=task, recipe=Recipe())
        assert network.num_outputs == outputs


def test_the_recipe_reaches_the_network_from_scratch(build) -> None:
    network, preprocess = build(
        "cnn",
        widths=(4, 8),
        kernel=5,
        activation="tanh",
        pooling="min",
        head="flatten",
        residual=False,
        batch_norm=False,
        drop=0.25,
        img_size=24,
        fit="squash",
    )
    assert network.spec is not None
    assert network.spec.as_dict() == {
        "kind": "cnn",
        "num_outputs": 3,
        "img_size": 24,
        "widths": [4, 8],
        "kernel": 5,
        "activation": "tanh",
        "pooling": "min",
        "head": "flatten",
        "residual": False,
        "batch_norm": False,
        "drop": 0.25,
    }
    assert preprocess.size_px == 24
    assert preprocess.fit == "squash"
    assert [stage.name for stage in network.stages] == ["stage1", "stage2"]


def test_a_copy_is_whole_and_on_its_own(build) -> None:
    network, _ = build("test_resnet")
    twin = copy.deepcopy(network)
    twin.set_stage_trainable(0)
    assert all(p.requires_grad for p in network.parameters())
    own = {id(p) for p in twin.parameters()}
    assert all(id(p) in own for stage in twin.stages for p in stage.parameters)


def test_another_size_reaches_networks_with_a_fixed_one(build) -> None:
    network, preprocess = build("test_vit", img_size=96)
    assert preprocess.size_px == network.input_px == 96
    assert network.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 3)


def test_a_size_that_does_not_work_is_refused(build) -> None:
    with pytest.raises(UsageError) as caught:
        build("resnet18", img_size=5000)
    assert str(caught.value) == (
        "--img-size is 5000, but must be 16 to 4096 pixels.\n"
        "  where: resnet18\n"
        "  fix:   leave --img-size out to take 224, what the weights know"
    )


def test_several_classifiers_are_refused_by_name(build) -> None:
    with pytest.raises(UsageError) as caught:
        build("levit_128s")
    assert str(caught.value) == (
        "levit_128s does not end in one fully connected layer, so its head cannot be replaced.\n"
        "  where: --model levit_128s\n"
        "  fix:   choose another architecture of the family (one that is not distilled)"
    )


def test_a_network_from_scratch_needs_no_timm() -> None:
    program = (
        "import sys\n"
        "from saccade.models import bundle, network, weights\n"
        "from saccade.data.task import Task\n"
        "from saccade.training.recipe import Recipe\n"
        "task = Task(kind='multiclass', classes=('a', 'b'))\n"
        "assert weights.fetch('cnn') is None\n"
        "network.build('cnn', task=task, recipe=Recipe())\n"
        "print('timm' in sys.modules, 'huggingface_hub' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]

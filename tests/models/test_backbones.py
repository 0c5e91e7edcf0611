import warnings

import pytest
import torch

from saccade.data.preprocess import Preprocess
from saccade.models import backbones
from saccade.models.backbones import Backbone
from saccade.runtime.errors import UsageError


def test_a_backbone_is_what_timm_says_of_it() -> None:
    # timm's default_cfgs in resnet.py
    assert backbones.find("resnet18.a1_in1k") == Backbone(
        name="resnet18.a1_in1k",
        architecture="resnet18",
        tag="a1_in1k",
        hub_id="timm/resnet18.a1_in1k",
        hub_file="model.safetensors",
        licence="apache-2.0",
        input_px=224,
        fixed_px=False,
        num_classes=1000,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        interpolation="bicubic",
        crop_fraction=0.95,
    )


def test_without_a_tag_it_is_the_default_weights() -> None:
    assert backbones.find("resnet50").tag == "a1_in1k"
    assert backbones.find("resnet50.tv2_in1k").hub_id == "timm/resnet50.tv2_in1k"


def test_former_names_are_followed_quietly() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = backbones.find("xception")
        with torch.device("meta"):
            backbones.create(backbone, num_outputs=2)
    assert (backbone.name, backbone.architecture) == ("xception", "legacy_xception")
    assert backbone.hub_id == "timm/legacy_xception.tf_in1k"  # never the pickle in timm's own list
    # a former name that stands for a tag: timm's _deprecated_models
    assert backbones.find("convnext_tiny_in22ft1k").tag == "fb_in22k_ft_in1k"


@pytest.mark.parametrize(
    "name", ["", ".", "../resnet18", "hf-hub:evil/model", "local-dir:model", "resnet18/../x", "a b"]
)
def test_names_that_lead_elsewhere_are_unknown(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        backbones.find(name)
    assert caught.value.code == "SACCADE-E210"


def test_nothing_near_is_said_shortly() -> None:
    with pytest.raises(UsageError) as caught:
        backbones.find("zzzzqqqq")
    assert str(caught.value) == (
        "There is no network named 'zzzzqqqq'.\n"
        "  where: --model\n"
        "  fix:   choose one that `saccade models` lists, or cnn or mlp for one from scratch"
    )


@pytest.mark.parametrize("name", ["vgg16", "inception_v3", "xception", "mobilenetv2_100"])
def test_the_preprocessing_is_the_one_timm_resolves(name: str) -> None:
    from timm.data import resolve_model_data_config

    backbone = backbones.find(name)
    with torch.device("meta"):
        cfg = resolve_model_data_config(backbones.create(backbone, num_outputs=2))
    assert backbones.preprocess(backbone, img_size=0, fit="crop") == Preprocess(
        size_px=cfg["input_size"][1],
        crop_fraction=cfg["crop_pct"],
        interpolation=cfg["interpolation"],
        mean=cfg["mean"],
        std=cfg["std"],
    )


def test_the_size_can_be_another(build) -> None:
    backbone = backbones.find("resnet18")
    assert backbones.preprocess(backbone, img_size=128, fit="pad").size_px == 128


@pytest.mark.parametrize(("name", "side"), [("inception_v3", 64), ("test_maxvit", 33)])
def test_a_size_that_an_architecture_cannot_take_is_refused(name: str, side: int, build) -> None:
    with pytest.raises(UsageError) as caught:
        build(name, img_size=side)
    assert str(caught.value) == (
        f"{name} cannot take pictures of {side} px.\n"
        "  where: --img-size\n"
        "  fix:   choose another size, often a larger one or a multiple of 32, or leave it out"
    )


def test_an_encoder_that_cannot_classify_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        backbones.create(backbones.find("gemma4_vit_167m_enc"), num_outputs=3, drop=0.1)
    assert str(caught.value) == (
        "gemma4_vit_167m_enc is not made to classify pictures.\n"
        "  where: --model gemma4_vit_167m_enc\n"
        "  fix:   choose another architecture"
    )


def test_names_are_found_by_pattern() -> None:
    assert "resnet18" in backbones.names("resnet1?")
    assert "resnet152" not in backbones.names("resnet1?")
    assert "legacy_xception" in backbones.names("xception")

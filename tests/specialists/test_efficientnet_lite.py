"""EfficientNet-Lite: real photographs get their ImageNet class, whatever their shape and company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.machine.engine import Engine
from omnibind_core.specialists import registry
from omnibind_core.specialists.efficientnet_lite import build, fit
from omnibind_core.store.weights import local_files
from omnibind_core.types import Image

CPU = torch.device("cpu")
CLASSES = {"cheetah1.jpg": {293}, "cheetah.jpg": {293}, "lion.jpg": {291}, "tower.jpg": {442, 497, 663, 668, 698, 832}}
NAMES = ["efficientnet_lite2", "efficientnet_lite0"]


@pytest.fixture(scope="module", params=NAMES)
def tower(request):
    spec, make = registry.find(request.param)
    return make(spec, local_files(spec.weights), {}, CPU, torch.float32)


@pytest.fixture(scope="module")
def photographs(assets):
    return {name: Image(np.array(Pillow.open(assets / "images" / name).convert("RGB"))) for name in CLASSES}


def test_photographs_get_their_imagenet_class(tower, photographs):
    weight, bias = tower.classifier
    assert weight.shape == (1000, 1280)
    found = (tower.features(list(photographs.values())) @ weight.T + bias).argmax(1).tolist()
    assert all(one in CLASSES[name] for name, one in zip(photographs, found, strict=True)), found


def test_rows_are_unit_and_float32(tower, photographs):
    rows = tower.embed("image", list(photographs.values()))
    assert rows.shape == (4, 1280)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(4), atol=1e-5)


def test_a_picture_does_not_depend_on_its_company(tower, photographs):
    pictures = list(photographs.values())
    together = tower.embed("image", pictures)
    alone = torch.cat([tower.embed("image", [p]) for p in pictures])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_maps_mean_is_the_feature_row(tower, photographs):
    picture = photographs["tower.jpg"]
    maps = tower.maps(picture.rgb)
    assert maps.shape[0] == 1280
    assert maps.shape[1] > maps.shape[2]  # the picture is upright
    assert torch.allclose(maps.mean((1, 2)), tower.features([picture])[0], atol=1e-4)


def test_bfloat16_is_close(tower, photographs):
    half = build(tower.spec, local_files(tower.spec.weights), {}, CPU, torch.bfloat16)
    pictures = list(photographs.values())[:2]
    assert (half.embed("image", pictures) * tower.embed("image", pictures)).sum(1).min() > 0.99


def test_parameters_are_counted_right(tower):
    assert sum(p.numel() for p in tower.network.parameters()) == tower.spec.parameters


def test_other_modalities_are_refused(tower, photographs):
    with pytest.raises(OmniBindError, match="audio"):
        tower.embed("audio", list(photographs.values()))


def test_weights_that_do_not_fit_are_refused(tower, tmp_path):
    state = torch.load(local_files(tower.spec.weights)["model"], weights_only=True)
    del state["_conv_head.weight"]
    torch.save(state, tmp_path / "model.pth")
    made = build(tower.spec, {"model": tmp_path / "model.pth"}, {}, CPU, torch.float32)
    with pytest.raises(WeightsError, match="conv_head"):
        Engine("torch", CPU).take(made, torch.float32)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(500, 500, (256, 256)), (400, 600, (224, 320)), (600, 300, (352, 192)), (1, 5000, (192, 352)), (3, 3, (256, 256))],
)
def test_fit_keeps_the_aspect_in_strides_of_32(height, width, expected):
    assert fit(np.zeros((height, width, 3), np.uint8), 260).shape == (*expected, 3)


def test_fit_keeps_everything_in_view():
    rgb = np.zeros((900, 700, 3), np.uint8)
    rgb[:90, :70] = rgb[-90:, -70:] = 255
    small = fit(rgb, 260)
    assert small[8, 8].min() > 240
    assert small[-8, -8].min() > 240
    assert small[len(small) // 2].max() < 10

"""MobileCLIP2-S0: names and sizes of the published weights, and vectors of open_clip's own model.

The key list is the state dict of open_clip 3.3.0's ``create_model`` with timm 1.0.31 on the meta device. The vectors
are compared with open_clip's model run beside ours: the same made-up weights, the picture tower in its full size, the
sentence tower two layers deep, from real files, with open_clip's own preprocessing and tokenizer.
"""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
import torch
from torch.nn.functional import normalize

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.mobileclip import SPECS, MobileClip, build
from omnibind_core.specialists.open_clip_towers import configuration, network
from omnibind_core.specialists.registry import find
from omnibind_core.specialists.shape_views import ShapeViews
from omnibind_core.types import Text
from tests.specialists.published import filled, read_keys

SPEC = SPECS[0]
CPU = torch.device("cpu")
PICTURES = ("cheetah1.jpg", "tower.jpg")
SENTENCES = ("a photo of a cheetah", "Two dogs, running!  Fast &amp; far.", "word " * 100)


def small() -> dict:
    config = configuration(SPEC.name)
    config["text_cfg"] |= {"width": 64, "heads": 4, "layers": 2}
    return config


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return filled({name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in network(small()).state_dict().items()})


@pytest.fixture(scope="module")
def path(state, tmp_path_factory) -> Path:
    from safetensors.torch import save_file

    made = tmp_path_factory.mktemp("mobileclip") / "open_clip_model.safetensors"
    save_file(state, made)
    return made


@pytest.fixture(scope="module")
def ours(path: Path) -> MobileClip:
    return MobileClip(SPEC, {"model": path}, CPU, torch.float32, small())


@pytest.fixture(scope="module")
def theirs(state):
    import_torchvision()
    import open_clip

    config = {name: value for name, value in small().items() if name != "custom_text"}
    model = open_clip.CustomTextCLIP(**config).eval()
    model.load_state_dict(state)
    return model


def test_names_shapes_and_count_are_the_published_ones():
    made = network(configuration(SPEC.name))
    keys = read_keys(SPEC.name)
    assert {name: tuple(t.shape) for name, t in made.state_dict().items()} == {
        n: shape for n, (shape, _) in keys.items()
    }
    assert sum(parameter.numel() for parameter in made.parameters()) == SPEC.parameters
    # What Apple's readme states: 11.4 + 63.4 million parameters.
    assert round(sum(p.numel() for p in made.visual.parameters()) / 1e6, 1) == 11.4
    assert round(sum(p.numel() for p in made.text.parameters()) / 1e6, 1) == 63.4


def test_pictures_from_their_files_are_open_clips(ours, theirs, assets: Path):
    import open_clip

    settings = open_clip.get_pretrained_cfg("MobileCLIP2-S0", "dfndr2b")
    prepare = open_clip.image_transform(
        256,
        is_train=False,
        mean=settings["mean"],
        std=settings["std"],
        resize_mode=settings["resize_mode"],
        interpolation=settings["interpolation"],
    )
    files = [assets / "images" / name for name in PICTURES]
    with torch.inference_mode():
        pixels = torch.stack([prepare(PIL.Image.open(file).convert("RGB")) for file in files])
        expected = normalize(theirs.encode_image(pixels), dim=1)
    found = ours.embed("image", [load(file, "image") for file in files])
    assert found.shape == (2, 512)
    assert (expected[0] - expected[1]).abs().max() > 1e-3  # made-up weights tell pictures apart
    assert (found - expected).abs().max() < 1e-4  # large photographs are decoded smaller, in steps of half


def test_sentences_are_open_clips_padding_and_all(ours, theirs):
    import open_clip

    with torch.inference_mode():
        expected = normalize(theirs.encode_text(open_clip.get_tokenizer("MobileCLIP2-S0")(list(SENTENCES))), dim=1)
    found = ours.embed("text", [Text(text) for text in SENTENCES])
    assert (found - expected).abs().max() < 1e-5
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_branches_of_the_training_are_folded_into_the_convolutions(ours, theirs):
    weights = (sum(p.numel() for p in model.visual.parameters()) for model in (ours._network, theirs))
    assert next(weights) < next(weights)


def test_half_precision_agrees(ours, path: Path, assets: Path):
    half = MobileClip(SPEC, {"model": path}, CPU, torch.bfloat16, small())
    picture = [load(assets / "images" / PICTURES[0], "image")]
    # Made-up weights in 24 blocks of convolutions make much of small differences.
    for modality, items, least in (("image", picture, 0.9), ("text", [Text(SENTENCES[0])], 0.999)):
        assert (half.embed(modality, items) * ours.embed(modality, items)).sum() > least


def test_shapes_are_seen_by_its_picture_tower(ours, assets: Path):
    spec, make = find("shape_views_mobileclip2")
    views = make(spec, {}, {"mobileclip2_s0": ours}, CPU, torch.float32)
    assert isinstance(views, ShapeViews)
    duck = load(assets / "models3d" / "Duck.glb", "point")
    from omnibind_core.types import Image

    seen = ours.embed("image", [Image(view) for view in views.views(duck)])
    row = views.embed("point", [duck])
    assert row.shape == (1, 512)
    assert (row[0] - normalize(seen.mean(0), dim=0)).abs().max() < 1e-6


def test_other_weights_are_refused_by_name(state, tmp_path: Path):
    torch.save({name: t for name, t in state.items() if name != "text.text_projection"}, tmp_path / "model.bin")
    with pytest.raises(WeightsError, match=r"text\.text_projection"):
        MobileClip(SPEC, {"model": tmp_path / "model.bin"}, CPU, torch.float32, small())


def test_build_wants_the_published_network(tmp_path: Path):
    torch.save({}, tmp_path / "model.bin")
    with pytest.raises(WeightsError, match="934 missing tensors"):
        build(SPEC, {"model": tmp_path / "model.bin"}, {}, CPU, torch.float32)


def test_other_modalities_are_refused(ours):
    with pytest.raises(OmniBindError, match="modality 'audio'"):
        ours.embed("audio", [None])


def test_its_licence_forbids_commercial_use():
    from omnibind_core.machine.preflight import is_commercial

    assert not is_commercial(SPEC.licence)

"""open_clip's towers: names and sizes of the published weights, and vectors of the reference implementations.

Key lists: state dicts of open_clip 2.24.0, which the published OmniBind asks for, with timm 0.9.16, on the meta device
(today's open_clip and timm give the same). Goldens: the same made-up weights in networks of the same kind, but small,
run once by
- eva02_e14_plus: the eva_clip package inside the published OmniBind (commit d574f1b), plain attention for xformers';
- dfn_h14: open_clip 2.24.0;
- siglip_*: SiglipModel, SiglipImageProcessorPil and SiglipTokenizer's text cleaning of transformers 5.20.2;
each from the files to the vectors, with its own preprocessing and its own tokenizer. SigLIP 2 has no goldens: its key
lists are open_clip 3.3.0's, whose own network runs beside ours, with transformers' Siglip2Tokenizer before it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.open_clip_towers import (
    SIGLIP_2,
    SPECS,
    OpenClipTower,
    build,
    configuration,
    network,
    siglip_tokenizer,
)
from omnibind_core.types import Text
from tests.specialists.published import DATA, filled, read_keys

BY_NAME = {spec.name: spec for spec in SPECS}
NAMES = list(BY_NAME)
SECOND = {"siglip2_b32_256": "ViT-B-32-SigLIP2-256", "siglip2_so400m_384": "ViT-SO400M-16-SigLIP2-384"}
"""What open_clip calls those of SigLIP 2."""
PICTURES = ("cheetah1.jpg", "lion.jpg", "tower.jpg")
SENTENCES = ("a photo of a cheetah", "Two dogs, running!  Fast &amp; far.", "word " * 100, "Ünïcode_and 12345")
LANGUAGES = (*SENTENCES, "Ein Foto von zwei Hunden", "une photo d’un guépard", "チーターの写真")


def small_trunks() -> None:
    """Make timm know small networks of the kinds that the published towers are of."""
    import_torchvision()
    from timm.models import is_model, register_model
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    if is_model("small_eva02_clip"):
        return

    def small_eva02_clip(pretrained: bool = False, **kwargs: object) -> nn.Module:
        kwargs = {key: value for key, value in kwargs.items() if not key.startswith(("pretrained", "cache"))}
        return Eva(
            img_size=56, patch_size=14, embed_dim=64, depth=2, num_heads=4, mlp_ratio=548 / 64, use_post_norm=True,
            **kwargs,
        )  # fmt: skip

    def small_siglip(pretrained: bool = False, **kwargs: object) -> nn.Module:
        kwargs = {key: value for key, value in kwargs.items() if not key.startswith(("pretrained", "cache"))}
        return VisionTransformer(
            img_size=56,
            patch_size=14,
            embed_dim=64,
            depth=2,
            num_heads=4,
            mlp_ratio=3.7362,
            class_token=False,
            **kwargs,
        )

    def small_siglip2(pretrained: bool = False, **kwargs: object) -> nn.Module:
        return small_siglip(act_layer="gelu_tanh", **kwargs)  # as timm makes the published ones

    register_model(small_eva02_clip)
    register_model(small_siglip)
    register_model(small_siglip2)


def small(name: str) -> dict:
    """Shrink open_clip's configuration of a specialist: 2 layers of 64, pictures of 4 x 4 patches."""
    small_trunks()
    config = configuration(name)
    config["embed_dim"] = 64 if name.startswith("siglip") else 32
    config["text_cfg"] |= {"width": 64, "heads": 4, "layers": 2}
    if name == "dfn_h14":
        config["vision_cfg"] |= {"image_size": 56, "layers": 2, "width": 64, "head_width": 16}
    else:
        trunk = f"small_{name.split('_')[0]}" if name.startswith("siglip") else "small_eva02_clip"
        config["vision_cfg"] |= {"image_size": 56, "timm_model_name": trunk}
    if name.startswith("siglip"):
        config["text_cfg"] |= {"vocab_size": 50, "mlp_ratio": 3.7362}
    return config


@cache
def state(name: str) -> dict[str, torch.Tensor]:
    made = network(small(name), siglip=name.startswith("siglip"))
    return filled({key: (tuple(tensor.shape), "float32") for key, tensor in made.state_dict().items()})


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer in the form of SigLIP's: unigram pieces, <pad> </s> <unk> first, </s> after each sentence."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("▁", -2.0)]
    words = ("photo", "cheetah", "dog", "run", "ning", "word", "fast", "far", "two", "code")
    pieces += [(f"▁{word}", -3.0) for word in words]
    pieces += [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def write_gemma(folder: Path) -> Path:
    """Write a tokenizer in the form of Gemma's, as SigLIP 2 reads: pairs of pieces, and <bos> before a sentence."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz0123456789.,!'é"]
    merges = [("▁", "a"), ("d", "o"), ("do", "g")]
    named = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = {piece: i for i, piece in enumerate([*named, *letters, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(pieces, merges, fuse_unk=True, unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    tokenizer.add_special_tokens(named)
    path = folder / "gemma.json"
    tokenizer.save(str(path))
    return path


def tokenizer_of(name: str, folder: Path) -> Path:
    """Write the tokenizer that a specialist reads."""
    return (write_gemma if name in SECOND else write_tokenizer)(folder)


@pytest.fixture(scope="module", autouse=True)
def give_memory_back():
    yield
    state.cache_clear()


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, OpenClipTower]:
    """Load each small network as a published one is loaded: from its files."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("open_clip")
    made = {}
    for name in NAMES:
        path = folder / (f"{name}.safetensors" if name != "dfn_h14" else f"{name}.bin")
        save_file(state(name), path) if name != "dfn_h14" else torch.save(state(name), path)
        files = {"model": path, "tokenizer": tokenizer_of(name, folder)}
        made[name] = OpenClipTower(BY_NAME[name], files, torch.device("cpu"), torch.float32, small(name))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_count_are_the_published_ones(name: str):
    made = network(configuration(name), siglip=name.startswith("siglip"))
    assert {key: tuple(tensor.shape) for key, tensor in made.state_dict().items()} == {
        key: shape for key, (shape, _) in read_keys(name).items()
    }
    assert sum(parameter.numel() for parameter in made.parameters()) == BY_NAME[name].parameters


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SECOND])
def test_vectors_are_the_references(name: str, towers: dict[str, OpenClipTower], assets: Path):
    golden = np.load(DATA / "goldens" / f"{name}.npz", allow_pickle=False)
    images = towers[name].embed("image", [load(assets / "images" / file, "image") for file in PICTURES])
    texts = towers[name].embed("text", [Text(text) for text in SENTENCES])
    assert np.abs(images.numpy() - golden["image"]).max() < 1e-5
    assert np.abs(texts.numpy() - golden["text"]).max() < 1e-5


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory):
    """Read sentences as transformers' own tokenizer of SigLIP 2 does, with the same pieces."""
    from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

    pieces = json.loads(write_gemma(tmp_path_factory.mktemp("gemma")).read_text())["model"]
    made = Siglip2Tokenizer(pieces["vocab"], [tuple(pair) for pair in pieces["merges"]], padding_side="right")

    def read(texts):
        rows = made(list(texts), add_special_tokens=False, truncation=True, max_length=63)["input_ids"]
        return torch.tensor([[*row, 1, *[0] * (63 - len(row))] for row in rows])

    return read


def test_siglip2_reads_lower_case_punctuation_and_ends_with_eos(tmp_path: Path, reference):
    rows = siglip_tokenizer(write_gemma(tmp_path), 50, SIGLIP_2)(LANGUAGES)
    assert torch.equal(rows, reference(LANGUAGES))
    assert (rows == 1).sum(1).tolist() == [1] * len(LANGUAGES)
    assert rows[2, -1] == 1  # the end even of one that is cut
    assert rows[0, -1] == 0


@pytest.mark.parametrize("name", SECOND)
def test_siglip2_vectors_are_open_clips(name: str, towers: dict[str, OpenClipTower], assets: Path, reference):
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    published = open_clip.get_pretrained_cfg(SECOND[name], "webli")
    small_network = small(name)
    theirs = open_clip.CustomTextCLIP(**{k: v for k, v in small_network.items() if k != "custom_text"}).eval()
    theirs.load_state_dict(state(name))
    settings = {key: published[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    prepare = image_transform_v2(PreprocessCfg(size=56, **settings), is_train=False)
    files = [assets / "images" / file for file in PICTURES]
    with torch.inference_mode():
        texts = theirs.encode_text(reference(LANGUAGES), normalize=True)
        pixels = torch.stack([prepare(PIL.Image.open(file).convert("RGB")) for file in files])
        images = theirs.encode_image(pixels, normalize=True)
    ours = towers[name].embed("text", [Text(text) for text in LANGUAGES])
    assert (ours - texts).abs().max() < 1e-5
    assert (ours[0] - ours[4]).abs().max() > 1e-3  # made-up weights tell sentences apart
    # Large photographs are decoded smaller, in steps of half.
    assert (towers[name].embed("image", [load(file, "image") for file in files]) - images).abs().max() < 1e-3


@pytest.mark.parametrize("name", SECOND)
def test_siglip2_may_be_used_commercially(name: str):
    from omnibind_core.machine.preflight import is_commercial

    assert is_commercial(BY_NAME[name].licence)


def test_shapes_are_seen_by_siglip2s_picture_tower(towers: dict[str, OpenClipTower], assets: Path):
    from omnibind_core.specialists.registry import find
    from omnibind_core.specialists.shape_views import ShapeViews
    from omnibind_core.types import Image

    tower = towers["siglip2_b32_256"]
    spec, make = find("shape_views_siglip2")
    views = make(spec, {}, {"siglip2_b32_256": tower}, torch.device("cpu"), torch.float32)
    assert isinstance(views, ShapeViews)
    duck = load(assets / "models3d" / "Duck.glb", "point")
    seen = tower.embed("image", [Image(view) for view in views.views(duck)])
    assert (views.embed("point", [duck])[0] - nn.functional.normalize(seen.mean(0), dim=0)).abs().max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_unit_rows_and_batches(name: str, towers: dict[str, OpenClipTower]):
    texts = [Text(f"number {i}") for i in range(40)]
    rows = towers[name].embed("text", texts)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(40), atol=1e-5)
    assert torch.allclose(rows[35], towers[name].embed("text", texts[35:36])[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_input_runs_one_tower(name: str, towers: dict[str, OpenClipTower], monkeypatch: pytest.MonkeyPatch):
    def forbidden(_: object) -> None:
        raise AssertionError("the picture tower ran for a sentence")

    monkeypatch.setattr(towers[name]._network, "encode_image", forbidden)
    assert towers[name].embed("text", [Text("a dog")]).shape == (1, 64 if name.startswith("siglip") else 32)


def test_half_precision_agrees(tmp_path: Path, towers: dict[str, OpenClipTower]):
    torch.save(state("dfn_h14"), tmp_path / "model.bin")
    half = OpenClipTower(
        BY_NAME["dfn_h14"], {"model": tmp_path / "model.bin"}, torch.device("cpu"), torch.bfloat16, small("dfn_h14")
    )
    for text in SENTENCES:
        assert half.embed("text", [Text(text)])[0] @ towers["dfn_h14"].embed("text", [Text(text)])[0] > 0.999


def test_siglip_pieces(tmp_path: Path):
    rows = siglip_tokenizer(write_tokenizer(tmp_path), 50)(["Dog!", "dog", "word " * 100])
    assert rows.shape == (3, 64)
    assert torch.equal(rows[0], rows[1])
    assert rows[0, -1] == rows[2, -1] == 1  # padded with the end, and cut before it


def test_other_tokenizers_are_refused(tmp_path: Path):
    path = write_tokenizer(tmp_path)
    with pytest.raises(WeightsError, match="a tokenizer of 50 pieces"):
        siglip_tokenizer(path, 32_000)
    path.write_text(path.read_text().replace("</s>", "<end>"))
    with pytest.raises(WeightsError, match="</s> being None"):
        siglip_tokenizer(path, 50)
    path.write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json cannot be read"):
        siglip_tokenizer(path, 50)


def test_other_weights_are_refused_by_name(tmp_path: Path):
    wrong = dict(state("dfn_h14"))
    del wrong["ln_final.weight"]
    wrong["surprise"] = torch.zeros(1)
    wrong["logit_scale"] = torch.zeros(2)
    torch.save(wrong, tmp_path / "model.bin")
    with pytest.raises(WeightsError, match=r"ln_final\.weight.*surprise.*logit_scale \(2,\) instead of \(\)"):
        OpenClipTower(
            BY_NAME["dfn_h14"], {"model": tmp_path / "model.bin"}, torch.device("cpu"), torch.float32, small("dfn_h14")
        )


def test_build_reads_the_published_configuration(tmp_path: Path):
    torch.save({}, tmp_path / "model.bin")
    with pytest.raises(WeightsError, match="686 missing tensors"):
        build(BY_NAME["dfn_h14"], {"model": tmp_path / "model.bin"}, {}, torch.device("cpu"), torch.float32)


def test_other_modalities_are_refused(towers: dict[str, OpenClipTower]):
    with pytest.raises(OmniBindError, match="modality 'audio'"):
        towers["dfn_h14"].embed("audio", [None])

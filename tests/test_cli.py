"""The command line, in process with the real preset; one command in a process of its own."""

import json
import subprocess
import sys

import numpy as np
import pytest

from omnibind_core import cli
from omnibind_core.binder import OmniBind
from omnibind_core.cli import main
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory

FOLDER = assets_directory() / "gallery"


def a_file(modality, concept):
    return str(next(FOLDER / i.file for i in read_catalogue(FOLDER) if i.modality == modality and i.concept == concept))


@pytest.fixture(autouse=True)
def one_model(mini, monkeypatch):
    """Load the preset once for all commands."""
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *args, **kwargs: mini)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([*arguments, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or captured.err)

    return call


def test_embed_gives_unit_vectors_and_weights_that_sum_to_one(run, mini):
    items = [a_file(m, "dog") for m in ("image", "audio", "point")] + ["text:a dog"]
    code, result = run("embed", *items)
    assert code == 0
    assert result["preset"] == "mini"
    assert [row["source"] for row in result["items"]] == items
    assert [row["modality"] for row in result["items"]] == ["image", "audio", "point", "text"]
    for row in result["items"]:
        assert len(row["vector"]) == mini.width
        assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-4)
        assert sum(row["weights"].values()) == pytest.approx(1, abs=1e-5)


def test_similarity_prefers_what_belongs_together(run):
    code, result = run("similarity", a_file("image", "dog"), "text:a dog", "text:a grand piano")
    matrix = np.array(result["matrix"])
    assert code == 0
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
    assert matrix[0, 1] > matrix[0, 2]


def test_search_answers_in_the_modalities_that_were_asked_for(run):
    code, result = run("search", "text:a dog", "-k", "3", "--in", "image,point")
    assert code == 0
    assert list(result["hits"]) == ["image", "point"]
    for modality, hits in result["hits"].items():
        assert len(hits) == 3
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
        assert "dog" in hits[0]["id"]
        assert hits[0]["file"].endswith({"image": (".jpg", ".png", ".webp"), "point": (".glb",)}[modality])
        assert set(hits[0]) == {"id", "modality", "caption", "score", "z", "share", "terms", "file", "like"}


def test_subtracting_changes_the_answer(run):
    _, plain = run("search", "text:an animal", "--in", "image", "-k", "20")
    _, less = run("search", "text:an animal", "--minus", "text:a bird", "--in", "image", "-k", "20")
    ids = [[hit["id"] for hit in found["hits"]["image"]] for found in (plain, less)]
    assert ids[0] != ids[1]


def test_a_gallery_file_does_not_answer_itself(run):
    path = a_file("point", "piano")
    _, result = run("search", path, "--in", "point", "-k", "5")
    assert path not in [hit["file"] for hit in result["hits"]["point"]]


def test_classify_orders_labels(run):
    code, result = run("classify", a_file("image", "dog"), "--labels", "dog, grand piano, truck")
    assert code == 0
    assert result["scores"][0]["label"] == "dog"
    assert sum(row["probability"] for row in result["scores"]) == pytest.approx(1)


def test_gallery_lists_its_items(run):
    code, result = run("gallery")
    assert code == 0
    assert len(result["items"]) == len(read_catalogue(FOLDER))


def test_doctor_finds_the_weights(run):
    code, result = run("doctor")
    assert code == 0
    assert result["ready"]
    assert result["missing"] == []
    assert {row["name"] for row in result["specialists"]} >= {"minilm_l6", "efficientnet_lite2", "aisfx", "shape_views"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "no-such-file.png"], "text:no-such-file.png"),
        (["embed", "text:"], "empty"),
        (["embed", "text:" + "x" * 100_000], "100,000"),
        (["search", "text:dog", "-k", "0"], "k = 0"),
        (["search", "text:dog", "--in", "smell"], "smell"),
        (["search", "text:dog", "--operator", "division"], "division"),
        (["search", "text:dog", "--store", "postgres://here"], "ends in .db"),
        (["mcp", "--store", "postgres://here"], "ends in .db"),
        (["classify", "text:dog", "--labels", " , "], "0 labels"),
    ],
)
def test_bad_input_ends_with_2_and_three_parts(run, arguments, message):
    code, result = run(*arguments)
    assert code == 2
    assert set(result["error"]) == {"given", "allowed", "action"}
    assert message in " ".join(result["error"].values())


def test_a_store_answers_as_memory_does(run, tmp_path):
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    asked = ("search", "text:a dog barks", a_file("image", "dog"), "--operator", "product", "-k", "3")
    (_, right), (code, found) = (run(*asked, *more) for more in ((), ("--store", f"milvus:{tmp_path / 'store.db'}")))
    assert code == 0
    assert (tmp_path / "store.db").exists()
    assert {m: [hit["id"] for hit in hits] for m, hits in found["hits"].items()} == {
        m: [hit["id"] for hit in hits] for m, hits in right["hits"].items()
    }


def test_text_output_is_for_people(capsys):
    assert main(["search", "text:a piano", "-k", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(":")] == ["image:", "audio:", "point:", "text:"]
    assert main(["embed", "missing.wav"]) == 2
    assert capsys.readouterr().err.startswith("error: Given: 'missing.wav'")


def test_a_process_of_its_own_exits_with_2_and_no_traceback():
    command = [sys.executable, "-m", "omnibind_core", "embed", "missing.glb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "What to do" in done.stderr


SEARCH = ["search", "text:dog"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["search", "--help"],
        ["search"],
        ["search", "nosuchfile"],
        [*SEARCH, "--minus", "nosuchfile.png"],
        ["embed", "text:"],
        ["classify", "nosuchfile", "--labels", "dog"],
        [*SEARCH, "--operator", "division"],
        [*SEARCH, "--match", "nothing"],
        [*SEARCH, "-k", "0"],
        [*SEARCH, "--in", "smell"],
        [*SEARCH, "--preset", "nosuch"],
        [*SEARCH, "--routing", "guessed"],
        [*SEARCH, "--preset", "base", "--routing", "trained"],
        [*SEARCH, "--plan", "fast"],
    ],
)
def test_help_and_errors_import_nothing_heavy(arguments):
    code = (
        "import sys\nfrom omnibind_core.cli import main\n"
        f"try: print(main({arguments!r}))\nexcept SystemExit as end: print(end.code)\n"
        "heavy = {'torch', 'faiss', 'trimesh', 'scipy', 'numba', 'transformers', 'timm', 'open_clip', 'gradio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0" if "--help" in arguments else "2", "[]"]


def test_searching_by_a_sentence_imports_no_library_of_other_senses():
    code = (
        "import sys\nfrom omnibind_core.cli import main\nassert main(['search', 'text:a dog barks', '-k', '1']) == 0\n"
        "other = {'trimesh', 'scipy', 'numba', 'librosa', 'transformers', 'timm', 'open_clip', 'torchvision', 'av'}\n"
        "print(sorted(other & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["embed", "AUDIO"], {"audio"}),
        (["embed", "text:a dog"], {"text"}),
        (["similarity", "AUDIO", "IMAGE"], {"audio", "image"}),
        (["search", "IMAGE", "--minus", "text:grass"], {"image", "text"}),
        (["classify", "POINT", "--labels", "dog,cat"], {"point", "text"}),
    ],
)
def test_only_what_the_inputs_need_is_loaded(mini, monkeypatch, capsys, command, expected):
    asked = []

    def loaded(*_args, **options):
        asked.append(options)
        return mini

    monkeypatch.setattr(OmniBind, "from_pretrained", loaded)
    places = {m.upper(): a_file(m, "dog") for m in ("audio", "image", "point")}
    assert main([*(places.get(word, word) for word in command), "--dtype", "float32"]) == 0
    assert asked[0]["modalities"] == expected
    assert asked[0]["dtype"] == "float32"


def test_another_type_is_refused_before_anything_is_loaded(run):
    code, result = run("embed", "text:a dog", "--dtype", "float16")
    assert code == 2
    assert "auto, float32 or bfloat16" in json.dumps(result)


def test_one_bar_moves_while_its_words_change(monkeypatch, capsys):
    bar = cli._Bar()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    for share in (0.0, 0.25, 0.5):
        bar(f"model.pt: {share * 10:.1f} of 10.0 GB", share)
    assert bar._bar.n == 50
    assert bar._bar.desc == "model.pt: 5.0 of 10.0 GB"
    bar("model.pt", 1.0)
    assert bar._bar is None
    assert "5.0 of 10.0 GB:  50%" in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_is_a_sentence(monkeypatch, capsys):
    def full(arguments):
        raise NotADirectoryError(20, "Not a directory", "/somewhere/wheels")

    monkeypatch.setattr(cli, "_check", full)
    assert cli.main(["doctor"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: Given: /somewhere/wheels, which cannot be used (Not a directory). Allowed: ")

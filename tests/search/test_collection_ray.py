"""A collection embedded by Ray's workers is that of one process, also where a node dies; what they refuse is told."""

import builtins
import json
import shutil

import numpy as np
import pytest

from omnibind_core import cli
from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import ExtraError, GalleryError
from omnibind_core.presets.preset import load_preset
from omnibind_core.search import collection
from omnibind_core.search.collection import Embedded, add, read_row
from omnibind_core.search.collection_ray import RayEngine, Worker
from omnibind_core.store.integrity import sha256_of
from omnibind_core.store.paths import assets_directory

MINI = load_preset("mini")


def content(folder):
    """All that a collection holds, by name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_source(folder, pictures):
    """Write pictures of the gallery, a sound, a shape, sentences, and what cannot be read."""
    folder.mkdir()
    gallery = assets_directory() / "gallery"
    for path in (
        *sorted((gallery / "images").iterdir())[:pictures], gallery / "sounds/accordion-1.ogg",
        gallery / "shapes/airplane-1.glb",
    ):  # fmt: skip
        shutil.copy(path, folder)
    (folder / "lines.txt").write_text("a dog barks\nrain falls on a roof\n")
    (folder / "broken.jpg").write_bytes(path.read_bytes()[:30])
    return folder


def row_of(path):
    return {
        "id": "image/0",
        "modality": "image",
        "source": str(path),
        "file": "images/0.jpg",
        "sha256": sha256_of(path),
    }


def asked(rows):
    return {"rows": json.dumps(rows)}


def test_without_the_package_it_says_which_extra_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraError, match=r"pip install 'omnibind-explorer\[ray\]'"):
        RayEngine("local")


def test_only_adding_knows_the_engine(capsys):
    assert cli.main(["search", "text:a lion", "--engine", "ray"]) == 2
    assert "auto, torch, openvino" in capsys.readouterr().err


def test_a_worker_embeds_what_one_process_does_and_names_what_it_does_not_see(mini, tmp_path):
    source = write_source(tmp_path / "source", 2)
    rows = [row_of(path) for path in sorted(source.glob("*.jpg"))]
    worker = Worker("mini", {"dtype": "float32"}, fingerprint(MINI), str(tmp_path), "image")
    made = worker(asked(rows))
    vectors = np.frombuffer(made["vectors"], np.float32).reshape(3, MINI.width)
    read = [read_row(row, tmp_path) for row in rows]
    good = [one for one in read if not isinstance(one, str)]
    assert (len(good), made["embedded"], made["error"], made["unseen"]) == (2, 2, "", "[]")
    assert made["thumbnails"] == [b"" if isinstance(one, str) else one[2] for one in read]
    expected = mini.embed("image", [one[0] for one in good]).vectors
    assert np.array_equal(vectors[[not isinstance(one, str) for one in read]], expected)
    (source / "broken.jpg").unlink()
    assert [row["source"] for row in json.loads(worker(asked(rows))["unseen"])] == [str(source / "broken.jpg")]


def test_a_worker_of_another_version_is_refused(tmp_path):
    worker = Worker("mini", {"dtype": "float32"}, "0" * 16, str(tmp_path), "text")
    assert "same version" in GalleryError(*json.loads(worker(asked([{"caption": "a dog"}]))["error"])).action


def test_a_file_that_changes_after_it_was_embedded_is_not_kept(tmp_path):
    """An engine that embeds anything, and a file that is another one when its copy is taken."""
    source = write_source(tmp_path / "source", 2)
    picture = next(source.glob("a*.jpg"))

    class Changing:
        def rows(self, folder, preset, modality, rows):
            def embed(numbers):
                if modality == "image":
                    picture.write_bytes(picture.read_bytes() + b"more")
                some = [rows[number] for number in numbers]
                vectors = np.ones((len(some), preset.width), np.float32) / np.sqrt(preset.width)
                return Embedded(vectors.astype(np.float32), [b"" if modality == "text" else b"RIFF"] * len(some), 1)

            return embed

    made = add(str(tmp_path / "made"), [source], MINI, engine=Changing())
    assert "changed while it was read" in (made.folder / "skipped.csv").read_text(encoding="utf-8")
    assert picture.name not in (made.folder / "catalogue.json").read_text(encoding="utf-8")


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each, on this machine."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(**node)
    yield made
    made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray's own modules
def test_two_nodes_make_the_same_collection_and_one_may_die(mini, cluster, tmp_path, monkeypatch):
    """Runs on real nodes: calm, of files that no worker sees, interrupted and started again, with a node killed."""
    import ray

    monkeypatch.setattr(collection, "BATCH", 4)
    source = write_source(tmp_path / "source", 30)
    pictures = sorted(source.glob("*.jpg"))
    good = add(str(tmp_path / "one"), [source], mini)
    some = content(add(str(tmp_path / "some"), pictures, mini).folder)
    with RayEngine(cluster.address) as engine:
        calm = add(str(tmp_path / "calm"), [source], MINI, engine=engine)
        assert content(calm.folder) == content(good.folder)
        assert (calm.items, calm.embedded, calm.skipped) == (good.items, good.embedded, good.skipped) == (34, 34, 1)

        def interrupt(done, _):
            if done >= 12:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            add(str(tmp_path / "cut"), pictures, MINI, engine=engine, progress=interrupt)
        again = add(str(tmp_path / "cut"), pictures, MINI, engine=engine)
        assert again.embedded == 30 - 8  # two batches were written, the third was in the hand
        assert content(again.folder) == some

        with monkeypatch.context() as patch:  # a folder that only this process sees
            patch.setattr("omnibind_core.search.collection_ray.read_content", lambda *_: b"")
            row = {**row_of(pictures[0]), "source": str(tmp_path / "elsewhere.jpg")}
            with pytest.raises(GalleryError, match="shared folder"):
                engine.rows(tmp_path, MINI, "image", [row])(range(1))

        def kill(done, _):
            if done and len(cluster.worker_nodes):
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

        lost = add(str(tmp_path / "lost"), pictures, MINI, engine=engine, progress=kill)
        assert sum(node["Alive"] for node in ray.nodes()) == 1
        assert content(lost.folder) == some

"""Extraction, heads and routers, killed at random moments until they are done: the files are those of a calm run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from omnibind_core.binding.forms import head_tensors, write_heads
from omnibind_core.binding.projectors import Projectors
from omnibind_core.presets.preset import load_preset
from omnibind_core.store.shards import ArrayRows, extract, open_shards
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.pseudo_pairs import Hop, pseudo_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import HeadRecipe, train_space
from omnibind_core.training.train_routers import RouterRecipe, train_routers
from omnibind_core.training.write_preset import PROJECTORS, ROUTERS, SpacePlan, write_preset
from omnibind_core.types import FloatArray, Modality
from tests.training.test_pseudo_pairs import gallery

SPACES = {"eyes": SpacePlan("Eyes", {"image": "efficientnet_lite2", "text": "minilm_l6"})}


def stages() -> Callable[[Path], None]:
    """Give what is killed: pools from gallery vectors, one head, routers; each goes on where it was."""
    rows, _ = gallery()
    pools: dict[Modality, FloatArray] = {m: rows[m][:300] for m in ("image", "text")}
    routes = {(a, b): [Hop("eyes", b)] for a in pools for b in pools if a != b}
    pairs, _ = pseudo_pairs({m: {"eyes": ArrayRows(pools[m])} for m in pools}, routes)

    def run(folder: Path) -> None:
        training = Run(folder, pairs=pairs)
        for modality, table in pools.items():

            def embed(items: Sequence[int], table: FloatArray = table) -> FloatArray:
                return table[list(items)]

            keys = [str(i) for i in range(len(table))]
            place = folder / "pools" / modality
            shards = extract(place, range(len(table)), keys, embed, specialist="mini", batch=16, shard_rows=64)
            training.vectors[modality] = {"eyes": shards}
        quick = HeadRecipe(steps=24, batch=32, hidden=32, noise=0.1, checkpoint=2)
        heads = train_space(training, "eyes", training.space("eyes"), quick, mixtures=("all",))
        write_heads(folder / PROJECTORS, head_tensors({"eyes": heads}), {}, dtype=None)
        path = folder / "small.json"
        inputs: dict[Modality, list[str]] = {"text": ["eyes"], "image": ["eyes"]}
        write_preset(path, title="", licence="", note="", width=1152, spaces=SPACES, heads=1, router_inputs=inputs)
        preset = load_preset(path)
        projectors = Projectors(preset, {"projectors": read_tensors(folder / PROJECTORS)})
        routers = train_routers(training, preset, projectors, RouterRecipe(steps=24, batch=32, checkpoint=2))
        write_heads(folder / ROUTERS, head_tensors(routers), {}, dtype=None)

    return run


def survive(folder: Path) -> None:
    """Run the stages undisturbed, then in children that are killed at random moments until one ends."""
    torch.set_num_threads(1)
    run, dice, ends = stages(), random.Random(0), []

    run(folder / "first")  # imports what every child would import again
    start = time.perf_counter()
    run(folder / "whole")
    calm = time.perf_counter() - start
    while len(ends) < 100 and (not ends or ends[-1]):  # spans grow, so that it ends on a busy machine too
        number = os.fork()
        if number == 0:
            run(folder / "cut")
            os._exit(0)
        time.sleep(dice.uniform(0, calm * (0.1 + 0.05 * max(0, len(ends) - 5))))
        os.kill(number, signal.SIGKILL)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))
    sys.stdout.write(json.dumps(ends))


def test_killed_at_random_moments(tmp_path: Path):
    script = "import sys, pathlib, tests.training.test_killed as t; t.survive(pathlib.Path(sys.argv[1]))"
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)
    *kills, last = json.loads(ran.stdout)
    assert last == 0
    assert len(kills) >= 5
    assert set(kills) == {-signal.SIGKILL}
    shards = [f"pools/{m}/{i:05d}.npy" for m in ("image", "text") for i in range(5)]
    for file in [PROJECTORS, ROUTERS, "small.json", *shards]:
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_killed_in_the_middle_of_writing_a_shard(tmp_path: Path):
    script = (
        "import os, signal, sys, io, numpy as np\n"
        "from pathlib import Path\n"
        "from omnibind_core.store.shards import extract\n"
        "save, left = np.save, [2]\n"
        "def part(stream, rows, **how):\n"
        "    left[0] -= 1\n"
        "    if left[0]: return save(stream, rows, **how)\n"
        "    whole = io.BytesIO(); save(whole, rows, **how)\n"
        "    stream.write(whole.getvalue()[:2000]); stream.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "np.save = part\n"
        "eye = np.eye(90, dtype='f4')\n"
        "keys = [str(i) for i in range(90)]\n"
        "extract(Path(sys.argv[1]), range(90), keys, lambda i: eye[list(i)], specialist='eye', shard_rows=40)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert (tmp_path / "00001.part").stat().st_size == 2000
    assert not (tmp_path / "00001.npy").exists()
    eye, asked = np.eye(90, dtype=np.float32), []

    def embed(items: Sequence[int]) -> FloatArray:
        asked.extend(items)
        return eye[list(items)]

    extract(tmp_path, range(90), [str(i) for i in range(90)], embed, specialist="eye", shard_rows=40)
    assert asked == list(range(40, 90))
    np.testing.assert_array_equal(open_shards(tmp_path, verify=True).chunk(0, 90), eye)
    assert not list(tmp_path.glob("*.part"))

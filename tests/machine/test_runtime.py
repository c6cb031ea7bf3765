"""The machine is measured once: the next process finds what the first one measured."""

import json

import pytest
import torch

from omnibind_core.machine import runtime
from omnibind_core.machine.runtime import choose_dtype, inputs_at_once, tune_threads

CPU = torch.device("cpu")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Count the measurements of a made-up machine whose fastest choice is one thread and bfloat16."""
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    runtime._fastest_cpu.cache_clear()  # of what an earlier test measured
    times = []

    def seconds(run):
        times.append(torch.get_num_threads())
        return float(len(times) % 4 != 2)  # bfloat16 by one thread is timed second of four

    monkeypatch.setattr(runtime, "_seconds", seconds)
    threads = torch.get_num_threads()
    yield times
    runtime._fastest_cpu.cache_clear()
    torch.set_num_threads(threads)


def again(name="auto"):
    """What another process would find."""
    runtime._fastest_cpu.cache_clear()
    return choose_dtype(name, CPU)


def test_a_machine_is_measured_once(measured, tmp_path):
    assert again() == torch.bfloat16
    first = len(measured)
    assert first >= 2
    assert again() == torch.bfloat16
    assert len(measured) == first
    (path,) = (tmp_path / "cache" / "machine").iterdir()  # nothing else is left lying about
    kept = json.loads(path.read_bytes())
    assert (kept["threads"], kept["dtype"]) == (1, "bfloat16")
    assert torch.__version__ in kept["machine"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("torch.__version__", "9.9"),
        ("os.sched_getaffinity", lambda _process: set(range(99))),
        ("Path.read_text", lambda *_args, **_options: "model name\t: Another"),
        ("_BLOCK", 99),
    ],
)
def test_another_machine_is_measured_anew(measured, monkeypatch, name, other):
    again()
    first = len(measured)
    owner, _, leaf = name.rpartition(".")
    monkeypatch.setattr(getattr(runtime, owner) if owner else runtime, leaf, other, raising=False)
    again()
    assert len(measured) > first


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b'{"threads": 0, "dtype": "float32"}', b'{"threads": 1, "dtype": "int4"}',
     b'{"threads": true, "dtype": "float32"}', b'{"threads": 9999, "dtype": "float32"}'],
)  # fmt: skip
def test_a_file_that_says_nothing_is_written_anew(measured, tmp_path, content):
    again()
    first = len(measured)
    (path,) = (tmp_path / "cache" / "machine").iterdir()
    path.write_bytes(content)
    again()
    assert len(measured) > first
    assert json.loads(path.read_bytes())["threads"] >= 1


def test_a_cache_that_cannot_be_written_is_no_error(measured, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "file" / "cache"))
    assert again() == torch.bfloat16


def test_the_environment_has_the_last_word_on_threads_and_nothing_is_measured(measured, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert tune_threads() == torch.get_num_threads()
    assert not measured
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert tune_threads() == 1
    assert measured


@pytest.mark.parametrize(("cores", "places"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_as_many_inputs_at_once_as_there_are_cores_but_not_too_many(cores, places, monkeypatch):
    monkeypatch.setattr(runtime, "usable_cores", lambda: cores)
    assert inputs_at_once(CPU) == places
    assert inputs_at_once(CPU, "streamed") == 1
    assert inputs_at_once(torch.device("cuda")) == 1


@pytest.mark.parametrize(("fewer", "chosen"), [(0.95, 2), (0.5, 1)])
def test_fewer_threads_must_be_clearly_quicker(measured, monkeypatch, fewer, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    monkeypatch.setattr(runtime, "_seconds", lambda _run: fewer if torch.get_num_threads() == 1 else 1.0)
    assert tune_threads() == chosen


def test_a_moment_of_other_work_decides_nothing(measured, monkeypatch):
    """Threads that wait for one another look slow while another program has a core: the best round counts."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    times = iter([1.0, 1.0, 9.0, 9.0] * (runtime._ROUNDS - 1) + [1.0, 1.0, 0.6, 0.6])
    monkeypatch.setattr(runtime, "_seconds", lambda _run: next(times))
    assert tune_threads() == 2

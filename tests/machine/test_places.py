"""Places: so many at the same time and no more, errors arrive, and the threads that compute stay the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from omnibind_core.machine.places import Cores, Places


@pytest.mark.parametrize(("count", "apart"), [(1, False), (1, True), (2, True)])
def test_no_more_run_than_there_are_places(count, apart):
    places, lock, met = Places(count, Cores(1, 2) if apart else None), threading.Lock(), threading.Barrier(count)
    running, most, threads = 0, 0, set()

    def one():
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
            threads.add(threading.current_thread())
        met.wait(10)  # ends only where as many run as there are places
        with lock:
            running -= 1
        return threading.current_thread()

    with ThreadPoolExecutor(8) as asking:
        assert len(list(asking.map(lambda _: places.run(one), range(4 * count)))) == 4 * count
    assert most == count
    assert not apart or len(threads) == count


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_raised_arrives_and_the_place_is_free_again(apart):
    places = Places(1, Cores(1, 1) if apart else None)
    with pytest.raises(ZeroDivisionError):
        places.run(lambda: 1 // 0)
    assert places.run(lambda: 3) == 3


@pytest.mark.parametrize(
    ("threads", "cores", "alone", "beside"), [(2, 2, 2, 1), (1, 2, 1, 1), (8, 8, 8, 4), (4, 8, 4, 4), (3, 1, 1, 1)]
)
def test_who_computes_alone_has_all_threads_and_two_share_the_cores(threads, cores, alone, beside):
    places = Places(2, Cores(threads, cores))
    first, second = threading.Event(), threading.Event()

    def wait(said, other):
        said.set()
        assert other.wait(10)
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as asking:
        one = asking.submit(places.run, lambda: wait(first, second))
        assert first.wait(10)  # runs already
        two = asking.submit(places.run, lambda: wait(second, first))
        assert (one.result(10), two.result(10)) == (alone, beside)
    assert places.run(torch.get_num_threads) == alone

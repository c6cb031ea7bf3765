"""Places: so many at the same time and no more, errors arrive, and the threads that compute stay the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from omnibind_core.machine.places import Places


@pytest.mark.parametrize(("count", "apart"), [(1, False), (1, True), (2, True)])
def test_no_more_run_than_there_are_places(count, apart):
    places, lock, met = Places(count, apart=apart), threading.Lock(), threading.Barrier(count)
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
    places = Places(1, apart=apart)
    with pytest.raises(ZeroDivisionError):
        places.run(lambda: 1 // 0)
    assert places.run(lambda: 3) == 3

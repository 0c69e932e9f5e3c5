from __future__ import annotations

import itertools
import os

import pytest

from seqmelody.errors import SeqmelodyError
from seqmelody.workers import in_order


def power(task: int, settings: int) -> tuple[int, int]:
    return task**settings, os.getpid()


def die(task: int, settings: int) -> int:
    if task == settings:
        os._exit(1)
    return task


def test_results_come_in_the_order_of_the_tasks_from_other_processes():
    found = list(in_order(power, range(50), 2, workers=2, ahead=3))
    assert [result for result, _ in found] == [task**2 for task in range(50)]
    assert os.getpid() not in {process for _, process in found}


def test_only_so_many_tasks_are_drawn_ahead():
    drawn = []

    def tasks():
        for task in itertools.count():
            drawn.append(task)
            yield task

    results = in_order(power, tasks(), 1, workers=2, ahead=2)
    for expected in range(5):
        assert next(results)[0] == expected
    results.close()
    assert len(drawn) <= 5 + 4


@pytest.mark.parametrize(("tasks", "workers"), [(5, 1), (1, 2), (0, 2)])
def test_little_work_is_done_here(tasks, workers):
    found = list(in_order(power, range(tasks), 1, workers=workers, ahead=2))
    assert found == [(task, os.getpid()) for task in range(tasks)]


def test_a_process_that_dies_is_an_error_in_words():
    with pytest.raises(SeqmelodyError, match="a worker process died"):
        list(in_order(die, range(20), 4, workers=2, ahead=2))

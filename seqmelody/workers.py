"""``in_order``: work shared out to processes, its results in the order of the tasks."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from seqmelody.errors import SeqmelodyError

_Task = TypeVar("_Task")
_Settings = TypeVar("_Settings")
_Result = TypeVar("_Result")


def in_order(
    work: Callable[[_Task, _Settings], _Result],
    tasks: Iterable[_Task],
    settings: _Settings,
    *,
    workers: int,
    ahead: int,
) -> Iterator[_Result]:
    """Does ``work(task, settings)`` for each task, in processes where that is worth it.

    Args:
        work: A function of a module, so that the processes find it.
        tasks: Drawn a few ahead of what is asked for, so that memory does not grow with their
            number.
        settings: The same for all.
        workers: Processes; 1 works in this one, and so does a single task.
        ahead: Tasks under way for each of them.

    Raises:
        SeqmelodyError: A process died.
    """
    remaining = iter(tasks)
    # Starting processes costs more than one task.
    first = list(itertools.islice(remaining, 2))
    tasks = itertools.chain(first, remaining)
    if workers == 1 or len(first) < 2:
        for task in tasks:
            yield work(task, settings)
        return
    executor = ProcessPoolExecutor(
        workers,
        # A forked child may inherit locks that another library's threads hold.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
    )
    under_way: deque[Future[_Result]] = deque()
    try:
        for task in tasks:
            under_way.append(executor.submit(work, task, settings))
            if len(under_way) >= ahead * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool as error:
        raise SeqmelodyError(
            "a worker process died (killed, or out of memory?); try again with fewer workers, and "
            "in a script use several only under 'if __name__ == \"__main__\":'"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    # Ctrl-C reaches every process of the terminal; the main one ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without this, a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

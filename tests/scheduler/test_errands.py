"""A thread that makes calls for others."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from scheduler.errands import Errands


def test_calls_are_made_one_after_another_in_their_order() -> None:
    errands = Errands("errands of a test")
    made: list[int] = []
    sent = [errands.send(partial(made.append, number)) for number in range(100)]
    sent[-1].result()
    assert made == list(range(100))
    assert all(each.done() for each in sent)


def test_they_are_made_in_a_thread_of_their_own_that_the_end_of_the_process_does_not_await() -> (
    None
):
    errands = Errands("errands of a test")
    threads: list[threading.Thread] = []
    errands.send(lambda: threads.append(threading.current_thread())).result()
    assert threads[0] is not threading.current_thread()
    assert threads[0].name == "errands of a test"
    assert threads[0].daemon


def test_a_fault_goes_to_whoever_asks_and_the_next_call_is_made() -> None:
    errands = Errands("errands of a test")
    faulty = errands.send({}.popitem)
    errands.send(lambda: None).result()
    with pytest.raises(KeyError):
        faulty.result()


def test_the_thread_ends_after_the_calls_that_were_sent_before() -> None:
    errands, go_on, made = Errands("errands of a test"), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    errands.send(lambda: threads.append(threading.current_thread())).result()
    errands.send(go_on.wait)
    errands.send(made.set)
    errands.end()
    errands.end()
    go_on.set()
    threads[0].join()
    assert made.is_set()


def test_the_thread_ends_when_nobody_can_send_it_anything_any_more() -> None:
    class Owner:
        def __init__(self) -> None:
            self.errands = Errands("errands of a test")
            self.errands.send(self.call).result()

        def call(self) -> None:
            self.thread = threading.current_thread()

    owner = Owner()
    thread = owner.thread
    del owner
    thread.join()

"""The contract, on every kind of database."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import partial

import pytest

from tests.eventstore.contract import EventStoreContract
from tests.eventstore.contract_sharing import append_one_by_one
from tests.eventstore.places import Place, opened


class TestContract(EventStoreContract):
    @pytest.fixture
    def writer_processes(self, place: Place) -> Callable[[int], list[int]]:
        return partial(_write_from_processes, place)


def _write_from_processes(place: Place, writers: int) -> list[int]:
    with multiprocessing.get_context("spawn").Pool(writers) as pool:
        return pool.starmap(_append_here, [(place, writer) for writer in range(writers)])


def _append_here(place: Place, writer: int) -> int:
    with opened(place) as store:
        return append_one_by_one(store, writer)

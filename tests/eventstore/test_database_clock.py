"""The database's clock: followed as closely as it can be seen, and never made to jump without need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from eventstore.database_clock import (
    MAX_STANDSTILL,
    SAMPLES,
    DatabaseClock,
    Sample,
    best,
    monotonic_microseconds,
)
from eventstore.postgres_database import PostgresDatabase
from eventstore.store import StoreUnavailable
from eventstore.tables import from_microseconds
from tests.eventstore.places import PostgresPlace

T = TypeVar("T")

NOON = 1_772_452_800_000_000
"""2026-03-02, in microseconds."""


class Server:
    """A database that knows the time, and a process that asks for it over a wire of some length.

    ``now`` is the server's time, ``ours`` the process's monotonic clock; both run at the same rate.
    """

    def __init__(self) -> None:
        self.now = NOON
        self.ours = 5_000_000
        self.journeys = [(100, 100)] * SAMPLES
        self.away = False
        self.asked = 0

    def pass_time(self, microseconds: int) -> None:
        self.now += microseconds
        self.ours += microseconds

    def monotonic(self) -> int:
        return self.ours

    def scalar(self, _statement: object) -> int:
        """What stands for a connection: the way there, a look at the clock, and the way back."""
        there, back = self.journeys[self.asked % len(self.journeys)]
        self.asked += 1
        self.pass_time(there)
        told = self.now
        self.pass_time(back)
        return told

    def read_now(self, query: Callable[[Any], T]) -> T:
        if self.away:
            raise StoreUnavailable("the database server can't be reached")
        return query(self)

    async def read(self, query: Callable[[Any], T]) -> T:
        return self.read_now(query)


@pytest.fixture
def server() -> Server:
    return Server()


def clock_of(server: Server) -> DatabaseClock:
    return DatabaseClock(server, monotonic=server.monotonic)  # type: ignore[arg-type]


def error_of(clock: DatabaseClock, server: Server) -> int:
    """How far the clock is ahead of the server's, in microseconds."""
    return (clock() - from_microseconds(server.now)) // timedelta(microseconds=1)


def test_a_clock_tells_the_servers_time_and_goes_on_by_itself(server: Server) -> None:
    clock = clock_of(server)
    asked = server.asked
    for _ in range(3):
        assert clock() == from_microseconds(server.now)
        server.pass_time(1_234_567)
    assert server.asked == asked == SAMPLES
    assert clock().tzinfo is UTC


def test_a_clock_is_wrong_by_half_of_what_the_shortest_journey_leaves_open(server: Server) -> None:
    server.journeys = [(9_000, 100), (70, 30), (100, 9_000)]
    clock = clock_of(server)
    assert error_of(clock, server) == 20  # (70 - 30) / 2


def test_a_sample_says_between_which_offsets_the_true_one_lies() -> None:
    sample = Sample(asked=1_000, told=50_000, answered=1_600)
    assert (sample.least, sample.most) == (48_400, 49_000)
    assert sample.nearest_to(48_700) == 48_700
    assert sample.nearest_to(48_000) == 48_400
    assert sample.nearest_to(60_000) == 49_000


def test_the_sample_of_the_shortest_round_trip_says_the_most() -> None:
    samples = [Sample(asked=0, told=9, answered=each) for each in (30, 10, 20)]
    assert best(samples).answered == 10


async def test_an_offset_that_is_still_possible_stays_as_it_is(server: Server) -> None:
    clock = clock_of(server)
    server.journeys = [(0, 200), (200, 0)]
    for _ in range(10):
        await clock.measure()
        assert error_of(clock, server) == 0


async def test_a_clock_that_fell_behind_moves_on_at_once(server: Server) -> None:
    clock = clock_of(server)
    server.now += 5_000_000
    await clock.measure()
    assert error_of(clock, server) == -100  # as far as the measurement demands


async def test_a_clock_that_ran_ahead_stands_still_until_it_is_right(server: Server) -> None:
    clock = clock_of(server)
    server.now -= 300_000
    told = clock()
    await clock.measure()

    times = []
    for _ in range(8):
        times.append(clock())
        server.pass_time(50_000)

    assert times == sorted(times)
    assert times[0] - told <= timedelta(microseconds=1_000)
    assert times[0] == times[4] < times[7]
    assert error_of(clock, server) == 100


async def test_a_standstill_goes_on_through_further_measurements(server: Server) -> None:
    clock = clock_of(server)
    times = [clock()]
    for _ in range(5):
        server.now -= 20_000
        await clock.measure()
        times.append(clock())
        server.pass_time(3_000)
        times.append(clock())
    assert times == sorted(times)


async def test_a_clock_of_a_server_that_was_set_back_goes_back_with_it(server: Server) -> None:
    clock = clock_of(server)
    server.now -= MAX_STANDSTILL + 10_000
    before = clock()
    await clock.measure()
    assert clock() < before
    assert error_of(clock, server) == 100


async def test_a_clock_set_back_by_just_what_it_may_stand_still_for_does(server: Server) -> None:
    server.journeys = [(0, 0)]
    clock = clock_of(server)
    before = clock()
    server.now -= MAX_STANDSTILL
    await clock.measure()
    assert clock() == before
    server.now -= 1
    await clock.measure()
    assert error_of(clock, server) == 0


async def test_while_the_database_is_away_a_clock_goes_on_as_before(server: Server) -> None:
    clock = clock_of(server)
    pauses = asyncio.Queue[None]()
    task = asyncio.create_task(clock.keep_in_step(pauses.get))

    async def one_round() -> None:
        pauses.put_nowait(None)
        for _ in range(3):
            await asyncio.sleep(0)

    server.away = True
    server.now += 5_000_000
    await one_round()
    assert error_of(clock, server) == -5_000_000
    server.away = False
    await one_round()
    assert error_of(clock, server) == -100
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_process_does_not_start_with_a_time_that_it_does_not_know(server: Server) -> None:
    server.away = True
    with pytest.raises(StoreUnavailable):
        clock_of(server)


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


async def test_a_clock_keeps_the_time_of_a_real_server(database: PostgresDatabase) -> None:
    clock = DatabaseClock(database)
    await clock.measure()

    def look(connection: Any) -> datetime:
        told: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return told

    before = monotonic_microseconds()
    earlier, told, later = clock(), database.read_now(look), clock()
    slack = timedelta(microseconds=monotonic_microseconds() - before)
    assert earlier - slack <= told <= later + slack

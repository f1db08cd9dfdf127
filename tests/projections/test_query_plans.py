"""No query walks a table or sorts it, however full it is: each has an index that leads to its rows.

Run on tables with thousands of rows. On SQLite with statistics and, as on an operator's disk, without;
on PostgreSQL with statistics, and with the plans that are made for certain values and for all values. A
plan that was made on the first day, on empty tables, may be kept for long: it has to be the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import Connection

from domain.codec import Codec
from domain.headers import HeaderSet
from domain.job import JobUpdated
from domain.retention import BEGINNING, ExecutionsExpired
from eventstore import reading
from projections import (
    api_keys,
    checks_in_flight,
    due_ticks,
    executions,
    expired_executions,
    header_values,
    heartbeats,
    jobs,
    projects,
)
from projections.checks_in_flight import CheckInFlight
from projections.execution_rows import executions as executions_table
from projections.rows import bulk_on
from projections.runner import Runner
from tests.projections import a_large_service as large
from tests.projections.plans import Plan, issued_by, plans_of
from tests.projections.recording import NOON, SETTINGS, Recorder, everything, later
from tests.servers.postgres import Databases
from tests.shapes import Shape, embedded, scaled

SOON = large.NOON + 300 * large.SECOND
FAR = datetime(2100, 1, 1, tzinfo=UTC)

Query = Callable[[Connection], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Which database the queries are planned on, and what it knows of its tables."""

    scaled: bool
    filled: bool
    statistics: str | None


SETTINGS_OF_TESTS = {
    "embedded": Setting(scaled=False, filled=True, statistics=None),
    "embedded, with statistics": Setting(scaled=False, filled=True, statistics="ANALYZE"),
    "scaled": Setting(scaled=True, filled=True, statistics="VACUUM ANALYZE"),
    "scaled, as on its first day": Setting(
        scaled=True, filled=False, statistics="VACUUM ANALYZE checks_in_flight"
    ),
}


@pytest.fixture(scope="module", params=SETTINGS_OF_TESTS)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shape]:
    setting = SETTINGS_OF_TESTS[request.param]
    if setting.scaled:
        postgres: Databases = request.getfixturevalue("postgres")
        opened = scaled(postgres)
    else:
        opened = embedded(tmp_path_factory.mktemp("large"), durable=False)
    with opened as shape:
        if setting.filled:
            with shape.core.database.log_transaction() as connection:
                large.fill(connection)
        if setting.statistics is not None:
            outside = shape.core.database.engine.raw_connection()
            assert outside.driver_connection is not None
            outside.driver_connection.execute(setting.statistics).close()
            outside.close()
        yield shape


def reading_plans(service: Shape, query: Query) -> list[Plan]:
    """Of a query as readers run it."""
    plans = service.core.database.read_now(
        lambda connection: plans_of(connection, issued_by(connection, lambda: query(connection)))
    )
    return as_planned(service, plans)


def writing_plans(service: Shape, act: Query) -> list[Plan]:
    """Of what is done in the transaction that appends; nothing of it stays."""

    with service.core.database.log_transaction() as connection, connection.begin_nested() as undone:
        plans = plans_of(connection, issued_by(connection, lambda: act(connection)))
        undone.rollback()
    return as_planned(service, plans)


def as_planned(service: Shape, plans: list[Plan]) -> list[Plan]:
    """On empty tables every index costs the same, so there only the plans that are kept matter."""
    return [plan for plan in plans if plan.generic] if is_empty(service) else plans


def is_scaled(service: Shape) -> bool:
    return service.core.database.engine.dialect.name == "postgresql"


def is_empty(service: Shape) -> bool:
    return service.core.database.read_now(due_ticks.next_tick) is None


def by_key(table: str) -> str:
    return f"{table}_pkey"


JOB_VIEW = {by_key("job_status"), by_key("due_ticks")}
"""What a job is shown with."""

PLACE = (large.NOON + 4_000 * large.SECOND, "execution-4000")
IN_FLIGHT = CheckInFlight(
    execution_id="check-100",
    job_id=large.job_id(100),
    account="default",
    version=1,
    status="queued",
    attempt=0,
    queued_at=large.NOON + 100 * large.SECOND,
    tick=None,
    deadline=None,
    cause="event",
    correlation_id="request",
)

LISTS: dict[str, tuple[Query, set[str]]] = {
    "a job": (
        partial(jobs.find, account="default", job_id=large.job_id(1)),
        {by_key("jobs"), *JOB_VIEW},
    ),
    "jobs by id": (
        partial(jobs.by_ids, job_ids=[large.job_id(1), large.job_id(2)]),
        {by_key("jobs"), *JOB_VIEW},
    ),
    "the first jobs of an account": (
        partial(jobs.page, account="default", limit=100),
        {"jobs_of_account", *JOB_VIEW},
    ),
    "further jobs of an account": (
        partial(jobs.page, account="default", after=1_500, limit=100),
        {"jobs_of_account", *JOB_VIEW},
    ),
    "the jobs of a small account": (
        partial(jobs.page, account="account-10", limit=100),
        {"jobs_of_account", *JOB_VIEW},
    ),
    "the jobs of a project": (
        partial(jobs.page, account="default", project_id="project-7", limit=100),
        {"jobs_of_project", *JOB_VIEW},
    ),
    "further jobs of a project": (
        partial(jobs.page, account="default", project_id="project-7", after=1_500, limit=100),
        {"jobs_of_project", *JOB_VIEW},
    ),
    "the jobs that go with a project": (
        partial(jobs.of_project, project_id="project-7"),
        {"jobs_of_project", by_key("due_ticks")},
    ),
    "whose job it is": (partial(jobs.account_of, job_id=large.job_id(1)), {by_key("jobs")}),
    "whose project it is": (
        partial(projects.account_of, project_id="project-7"),
        {by_key("projects")},
    ),
    "the keys of an account": (
        partial(api_keys.every, account="default"),
        {"api_keys_of_account", by_key("api_key_usage")},
    ),
    "the key of a request": (
        partial(api_keys.by_hash, key_hash="hash-7"),
        {"api_keys_key_hash_key", by_key("api_key_usage")},
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_read_in_the_order_of_an_index(service: Shape, name: str) -> None:
    query, indexes = LISTS[name]
    for plan in reading_plans(service, query):
        assert (plan.walks, plan.sorts, plan.indexes) == (set(), 0, indexes), plan.statement


def test_projects_are_listed_in_the_order_of_an_index_and_their_jobs_found_by_one(
    service: Shape,
) -> None:
    for query in (
        partial(projects.find, account="default", project_id="project-7"),
        partial(projects.page, account="default", limit=50),
        partial(projects.page, account="default", after=100, limit=50),
    ):
        of_projects: list[Plan] = []
        of_jobs: list[Plan] = []
        for plan in reading_plans(service, query):
            (of_jobs if "job_status" in plan.statement else of_projects).append(plan)
        assert of_projects
        assert of_jobs or is_empty(service)
        for plan in of_projects:
            assert (plan.walks, plan.sorts) == (set(), 0), plan.statement
            assert plan.indexes <= {by_key("projects"), "projects_of_account"}
        for plan in of_jobs:  # those of one page are put in order
            assert (plan.walks, plan.indexes) == (
                set(),
                {"jobs_of_project", by_key("job_status")},
            ), plan.statement


def test_header_values_are_found_by_their_ids(service: Shape) -> None:
    box = service.service.secrets
    sets = [HeaderSet(secret_id=f"secret-{n}") for n in range(20)]
    for plan in reading_plans(service, lambda c: header_values.find(c, box, sets)):
        assert (plan.walks, plan.indexes) == (set(), {by_key("secrets")}), plan.statement


HISTORY: dict[str, dict[str, object]] = {
    "the newest": {},
    "those before": {"before": PLACE},
    "those of a status": {"status": "failed"},
    "those of a status before": {"status": "failed", "before": PLACE},
    "those since": {"since": SOON},
    "those until": {"until": SOON},
    "those of a day": {"since": NOON, "until": SOON},
    "all at once": {"since": NOON, "until": FAR, "status": "failed", "before": PLACE},
}


@pytest.mark.parametrize("job_id", [large.BUSY, large.job_id(7)])
@pytest.mark.parametrize("name", HISTORY)
def test_history_is_read_from_its_newest_end_by_an_index(
    service: Shape, name: str, job_id: str
) -> None:
    query = partial(executions.page, job_id=job_id, limit=100, **HISTORY[name])  # type: ignore[arg-type]
    for plan in reading_plans(service, query):
        assert (plan.walks, plan.sorts, plan.indexes) == (
            set(),
            0,
            {"executions_of_job"},
        ), plan.statement


DUE: dict[str, tuple[Query, set[str]]] = {
    "checks by id": (
        partial(checks_in_flight.by_ids, ids=["check-1", "check-2", "nothing"]),
        {by_key("checks_in_flight")},
    ),
    "an execution": (partial(executions.find, execution="execution-1"), {by_key("executions")}),
    "what expires next": (
        partial(expired_executions.portion, since=BEGINNING, size=1_000),
        {"executions_by_age"},
    ),
    "what expires after that": (
        partial(expired_executions.portion, since=PLACE, size=1_000),
        {"executions_by_age"},
    ),
}


@pytest.mark.parametrize("name", DUE)
def test_what_is_to_be_done_is_found_in_the_order_of_an_index(service: Shape, name: str) -> None:
    query, indexes = DUE[name]
    for plan in reading_plans(service, query):
        assert (plan.walks, plan.sorts, plan.indexes) == (set(), 0, indexes), plan.statement


def test_what_is_next_is_told_by_an_index_alone(service: Shape) -> None:
    """By the one that has all in the order of time, or by those of the buckets."""
    for query, in_one, in_buckets in (
        (due_ticks.next_tick, "due_ticks_by_tick", "due_ticks_by_bucket"),
        (heartbeats.next_closing, "heartbeats_by_closing", "heartbeats_by_bucket"),
    ):
        for plan in reading_plans(service, query):
            assert (plan.walks, plan.sorts) == (set(), 0), plan.statement
            assert plan.indexes in ({in_one}, {in_buckets}), plan.statement
            assert in_one in plan.indexes or is_scaled(service)


@pytest.mark.parametrize("after", [None, IN_FLIGHT])
def test_unfinished_checks_are_read_from_the_oldest_on(
    service: Shape, after: CheckInFlight | None
) -> None:
    query = partial(
        checks_in_flight.unfinished, queued_until=SOON, moment=SOON, after=after, limit=500
    )
    for plan in reading_plans(service, query):
        assert (plan.walks, plan.indexes) == (set(), {"checks_in_flight_by_age"}), plan.statement


def test_schedulers_find_what_is_due_by_an_index(service: Shape) -> None:
    if not is_scaled(service):  # nothing is divided where there is one scheduler
        for query, by_time in (
            (due_ticks.claim, {"due_ticks_by_tick", "checks_in_flight_of_job"}),
            (heartbeats.claim, {"heartbeats_by_closing"}),
        ):
            for plan in reading_plans(service, partial(query, moment=SOON, limit=500)):
                assert (plan.walks, plan.sorts, plan.indexes) == (set(), 0, by_time)
        return
    for claim, indexes in (
        (due_ticks.claim, {"due_ticks_by_bucket", "checks_in_flight_of_job"}),
        (heartbeats.claim, {"heartbeats_by_bucket"}),
    ):
        of_turns: list[Plan] = []
        of_work: list[Plan] = []
        for plan in writing_plans(service, partial(claim, moment=SOON, limit=500)):
            (of_turns if "FROM claims" in plan.statement else of_work).append(plan)
        assert of_turns
        assert of_work or is_empty(service)
        for plan in of_turns:
            assert plan.walks <= {"claims"}, plan.statement  # 36 rows
            assert indexes & plan.indexes, plan.statement
        for plan in of_work:
            assert (plan.walks, plan.sorts) == (set(), 0), plan.statement
            if plan.generic:  # as these connections plan; for few rows any order will do
                assert plan.indexes == indexes, plan.statement


FEED: dict[str, tuple[Query, set[str]]] = {
    "the log": (partial(reading.read_all, after=6_000, limit=500), {by_key("events")}),
    "the log backward": (
        partial(reading.read_all_backward, before=6_000, limit=500),
        {by_key("events")},
    ),
    "a subject": (
        partial(reading.read_all, after=6_000, limit=500, subject=large.job_id(7)),
        {"events_subject"},
    ),
    "a subject backward": (
        partial(reading.read_all_backward, limit=500, subject=large.job_id(7)),
        {"events_subject"},
    ),
    "a subject and types": (
        partial(
            reading.read_all, limit=500, subject=large.job_id(7), types=frozenset(large.TYPES[1:3])
        ),
        {"events_subject"},
    ),
    "a stream": (partial(reading.read_stream, stream="stream-7"), {"events_stream_version"}),
    "a stream backward": (
        partial(reading.read_stream_backward, stream="stream-7", limit=10),
        {"events_stream_version"},
    ),
    "a checkpoint": (partial(reading.checkpoint, name="dispatch"), {by_key("checkpoints")}),
}


@pytest.mark.parametrize("name", FEED)
def test_the_log_is_read_in_its_order_by_an_index(service: Shape, name: str) -> None:
    query, indexes = FEED[name]
    for plan in reading_plans(service, query):
        assert (plan.walks, plan.sorts, plan.indexes) == (set(), 0, indexes), plan.statement


def test_unfinished_erasures_are_found_among_many_that_are_finished(service: Shape) -> None:
    for plan in reading_plans(service, reading.unfinished_erasures):
        assert (plan.walks, plan.indexes) == (set(), {"sealed_subjects_finished"}), plan.statement


@pytest.mark.parametrize("types", [large.TYPES[:1], large.TYPES[1:4], large.TYPES[5:]])
@pytest.mark.parametrize("read", [reading.read_all, reading.read_all_backward])
def test_events_of_some_types_are_found_in_their_index_and_then_by_their_positions(
    service: Shape, read: Callable[..., object], types: tuple[str, ...]
) -> None:
    for plan in reading_plans(service, lambda c: read(c, limit=100, types=frozenset(types))):
        assert plan.walks == set(), plan.statement
        assert "events_type" in plan.indexes
        assert plan.indexes <= {"events_type", by_key("events")}, plan.statement


def test_the_end_of_the_log_is_one_look(service: Shape) -> None:
    for plan in reading_plans(service, reading.head):
        assert plan.sorts == 0, plan.statement
        assert plan.walks <= {"events"}  # SQLite's word for its last row
        assert plan.indexes <= {by_key("events")}


def test_the_read_models_are_changed_by_indexes_alone(service: Shape) -> None:
    """Everything that events do to the read models, on what is there and on what is not."""
    recorder = Recorder()
    touched = [
        recorder.job(
            large.job_id(n),
            JobUpdated(settings=SETTINGS, changed=("name",), updated_at=NOON, next_tick=None),
        )
        for n in range(30)
    ]
    touched += [recorder.ping(large.job_id(n), f"ping-{n}", "success") for n in range(30)]
    expired = ExecutionsExpired(
        since=BEGINNING[0], since_id="", before=SOON, before_id="execution-300"
    )
    runner = Runner(Codec())

    def act(connection: Connection) -> None:
        runner.apply(connection, everything(recorder, 2, name="a"))
        runner.apply(connection, later(recorder, 2, name="a"))
        runner.apply(connection, touched)
        expired_executions.expire(connection, expired)

    plans = writing_plans(service, act)
    assert len({plan.statement for plan in plans}) >= 30
    for plan in plans:
        assert plan.walks == set(), plan.statement


@pytest.mark.parametrize("limit", [7, 100])
def test_pages_that_follow_each_other_give_every_execution_once_in_the_order_of_bytes(
    service: Shape, limit: int
) -> None:
    """Ids with both cases, digits and more than ASCII, all of the same moment."""
    ids = ["a", "A", "b", "B", "Z", "_", "-", "0", "9", "10", "é", "z", "ab", "aB", "a-b", "a_b"]
    job_id = f"ordered-{limit}"
    rows = [
        large.execution(1) | {"id": f"{job_id}-{each}", "job_id": job_id, "happened_at": NOON}
        for each in ids
    ]
    with service.core.database.log_transaction() as connection:
        bulk_on(connection).insert(connection, executions_table, rows)
    read = service.core.database.read_now
    listed: list[str] = []
    before = None
    while page := read(partial(executions.page, job_id=job_id, limit=limit, before=before)):
        listed += [each.id for each in page]
        before = (page[-1].happened_at, page[-1].id)
    assert listed == sorted((row["id"] for row in rows), key=str.encode, reverse=True)

"""Which checks have begun and not ended: queued or running. Empty when nothing is going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    func,
    select,
    tuple_,
)

from domain.execution import (
    CheckDue,
    CheckFailed,
    CheckStarted,
    CheckSucceeded,
    Execution,
    RunRequested,
)
from domain.job import JobDeleted
from eventstore.tables import EPOCH, UtcMicroseconds
from projections.listed import among
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

checks_in_flight = Table(
    "checks_in_flight",
    metadata,
    Column("execution_id", String, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("account", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("status", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("queued_at", UtcMicroseconds, nullable=False),
    Column("tick", UtcMicroseconds),
    Column("deadline", UtcMicroseconds),
    Column("cause", String, nullable=False),
    Column("correlation_id", String, nullable=False),
    Index("checks_in_flight_of_job", "job_id"),
    Index("checks_in_flight_by_age", "queued_at"),
)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, checks_in_flight)
    given_up = _of_deleted_jobs(connection, events)
    for event in events:
        match event.content:
            case CheckDue() | RunRequested():
                rows.put(_queued(event))
                if event.subject in given_up:
                    given_up[event.subject].append(execution_id(event))
            case CheckStarted() as started:
                rows.change(
                    execution_id(event),
                    status="running",
                    attempt=started.attempt,
                    deadline=started.deadline,
                    version=event.envelope.version,
                    cause=event.envelope.event_id,
                )
            case CheckSucceeded() | CheckFailed():
                rows.remove(execution_id(event))
            case JobDeleted():
                for key in given_up[event.subject]:
                    rows.remove(key)
    rows.write()


PROJECTION = Projection(
    name="checks_in_flight",
    tables=(checks_in_flight,),
    handles=(CheckDue, RunRequested, CheckStarted, CheckSucceeded, CheckFailed, JobDeleted),
    apply=apply,
)


def execution_id(event: DecodedEvent) -> str:
    """The id of the execution whose stream the event is in."""
    return event.envelope.stream.partition("-")[2]


def _queued(event: DecodedEvent) -> dict[str, Any]:
    envelope = event.envelope
    return {
        "execution_id": execution_id(event),
        "job_id": envelope.subject,
        "account": envelope.account,
        "version": envelope.version,
        "status": "queued",
        "attempt": 0,
        "queued_at": envelope.recorded_at,
        "tick": event.content.tick if isinstance(event.content, CheckDue) else None,
        "deadline": None,
        "cause": envelope.event_id,
        "correlation_id": envelope.correlation_id,
    }


def _of_deleted_jobs(
    connection: Connection, events: Sequence[DecodedEvent]
) -> dict[str, list[str]]:
    """Each job that the events delete, with its checks that had not ended before the events."""
    jobs: dict[str, list[str]] = {
        event.subject: [] for event in events if isinstance(event.content, JobDeleted)
    }
    if jobs:
        for row in connection.execute(_OF_JOBS, {"job_ids": list(jobs)}):
            jobs[row.job_id].append(row.execution_id)
    return jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInFlight:
    """A check that has not ended. ``version`` is where its stream stands: the fence of who goes on.

    ``cause`` is the id of its latest event.
    """

    execution_id: str
    job_id: str
    account: str
    version: int
    status: str
    attempt: int
    queued_at: datetime
    tick: datetime | None
    deadline: datetime | None
    cause: str
    correlation_id: str

    def state(self) -> Execution:
        """The execution as its events tell it."""
        return Execution(
            status="running" if self.status == "running" else "queued",
            attempt=self.attempt,
            deadline=self.deadline,
        )


_OF_JOBS = select(checks_in_flight.c.job_id, checks_in_flight.c.execution_id).where(
    among(checks_in_flight.c.job_id, "job_ids")
)
_BY_IDS = select(checks_in_flight).where(among(checks_in_flight.c.execution_id, "ids"))
_place = tuple_(checks_in_flight.c.queued_at, checks_in_flight.c.execution_id)
UNFINISHED = (
    select(checks_in_flight)
    .where(
        (
            checks_in_flight.c.deadline.is_(None)
            & (checks_in_flight.c.queued_at <= bindparam("queued_until"))
        )
        | (checks_in_flight.c.deadline <= bindparam("moment")),
        _place > tuple_(bindparam("after_queued_at", type_=UtcMicroseconds), bindparam("after_id")),
    )
    .order_by(checks_in_flight.c.queued_at, checks_in_flight.c.execution_id)
    .limit(bindparam("row_limit"))
)


def by_ids(connection: Connection, ids: Sequence[str]) -> list[CheckInFlight]:
    """Those of these executions that have not ended."""
    return [_in_flight(row) for row in connection.execute(_BY_IDS, {"ids": ids}).mappings()]


def unfinished(
    connection: Connection,
    *,
    queued_until: datetime,
    moment: datetime,
    after: CheckInFlight | None = None,
    limit: int,
) -> list[CheckInFlight]:
    """Checks that somebody should have ended by ``moment``: queued long ago, or past their deadline.

    The longest ago first; ``after`` is the last one of the page before.
    """
    parameters = {
        "queued_until": queued_until,
        "moment": moment,
        "after_queued_at": EPOCH if after is None else after.queued_at,
        "after_id": "" if after is None else after.execution_id,
        "row_limit": limit,
    }
    return [_in_flight(row) for row in connection.execute(UNFINISHED, parameters).mappings()]


def count(connection: Connection) -> int:
    """How many checks are queued or running."""
    return connection.execute(select(func.count()).select_from(checks_in_flight)).scalar_one()


def _in_flight(row: Any) -> CheckInFlight:  # noqa: ANN401  (a row of any shape)
    return CheckInFlight(**{name: row[name] for name in CheckInFlight.__slots__})

"""The log as it is after a run, read once from its first event to its last, with plain SQL.

Kept of it is what promises are held against, in the simplest shape: what became of each check, on
which terms each job ticked, which pings came. The chain of hashes is recomputed on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import NullPool, create_engine, make_url, text

from domain.codec import Codec
from domain.execution import (
    CheckDue,
    CheckFailed,
    CheckSkipped,
    CheckStarted,
    CheckSucceeded,
    RunRequested,
)
from domain.heartbeat import HeartbeatMissed
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from domain.pings import PingReceived
from eventstore import hashing
from tests.live.tick_accounts import Recorded, Terms, seconds_of

_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TICKS: Final[frozenset[int]] = frozenset()
_EVERY_EVENT: Final = "SELECT * FROM events ORDER BY position"
_UNFINISHED: Final = (
    "SELECT execution_id AS what FROM checks_in_flight"
    " UNION ALL SELECT subject FROM sealed_subjects WHERE NOT finished"
)
_WHOSE: Final = {
    "payloads": "SELECT DISTINCT subject AS id FROM events"
    " WHERE payload IS NOT NULL AND stream NOT LIKE 'erasure-%'",
    "secrets": "SELECT DISTINCT subject AS id FROM secrets",
    "executions": "SELECT DISTINCT job_id AS id FROM executions",
    "ticks": "SELECT job_id AS id FROM due_ticks",
}
_PORTION: Final = 5_000
_ENVELOPE: Final = (
    "position",
    "stream",
    "version",
    "event_id",
    "type",
    "schema_version",
    "subject",
    "account",
    "actor",
    "recorded_at",
    "correlation_id",
    "causation_id",
)

Row = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class LoggedCheck:
    """An execution. ``began`` are the times at which a worker was about to call, ``moved`` all times
    at which its stream grew; ``job_id``, ``tick`` and ``skipped_ticks`` are unknown of erased ones.
    """

    execution_id: str
    job_id: str
    tick: datetime | None = None
    skipped_ticks: int = 0
    status: str = "queued"
    reason: str | None = None
    status_code: int | None = None
    position: int = 0
    """Of its first event."""
    began: list[datetime] = field(default_factory=list)
    moved: list[datetime] = field(default_factory=list)
    erased: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in {"queued", "running"}

    def recorded(self) -> Recorded:
        """The record of its tick, which it has to have."""
        assert self.tick is not None
        return Recorded(
            tick=self.tick,
            skipped_ticks=self.skipped_ticks,
            position=self.position,
            at=self.moved[0],
        )


@dataclass(slots=True, kw_only=True)
class LoggedJob:
    """A job that was not deleted: all settings that it ever had, and the terms of its ticks."""

    settings: list[JobSettings]
    paused: bool
    terms: list[Terms]
    checks: list[LoggedCheck] = field(default_factory=list)

    @property
    def ticks_by_now(self) -> frozenset[int]:
        now = self.settings[-1]
        silent = self.paused or now.mode != "active"
        return _NO_TICKS if silent else seconds_of(now.schedule)


@dataclass(kw_only=True)
class Log:
    """What the log tells. ``faults`` says where it is not the log that it should be."""

    events: int = 0
    streams: int = 0
    faults: list[str] = field(default_factory=list)
    jobs: dict[str, LoggedJob] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    checks: dict[str, LoggedCheck] = field(default_factory=dict)
    pings: list[tuple[str, PingReceived]] = field(default_factory=list)
    misses: list[tuple[str, HeartbeatMissed, datetime]] = field(default_factory=list)
    """Each with the id of its job; a miss also with when it was recorded."""


class LeftDatabase:
    """The database after the run, or while it goes on: plain SQL, on a connection for each query.

    ``url`` is what the service is given. Values in statements are ``:named``.
    """

    def __init__(self, url: str) -> None:
        known = make_url(url)
        driver = _DRIVERS[known.get_backend_name()]
        self._engine = create_engine(known.set(drivername=driver), poolclass=NullPool)

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [row._asdict() for row in connection.execute(text(statement), values)]

    def events(self) -> Iterator[Row]:
        """The log, in portions as it is asked for."""
        with self._engine.connect().execution_options(yield_per=_PORTION) as connection:
            for row in connection.execute(text(_EVERY_EVENT)):
                yield row._asdict()

    def unfinished(self) -> list[str]:
        """The ids of checks that are under way, and of what is being erased."""
        return [row["what"] for row in self.rows(_UNFINISHED)]

    def left_of(self, deleted: Set[str]) -> list[str]:
        """What there still is of deleted jobs, in words."""
        return [
            f"{row['id']} left {what}"
            for what, statement in _WHOSE.items()
            for row in self.rows(statement)
            if row["id"] in deleted
        ]


def read_log(events: Iterable[Row]) -> Log:
    """Read the log from its first event to its last."""
    log, codec, chain = Log(), Codec(), _Chain()
    for row in events:
        log.faults += chain.faults_of(row)
        payload = row["payload"]
        content = (
            None if payload is None else codec.decode(row["type"], row["schema_version"], payload)
        )
        _take_in(log, row, content)
    log.events, log.streams = chain.position, len(chain.versions)
    for check in log.checks.values():
        if check.job_id in log.jobs:
            log.jobs[check.job_id].checks.append(check)
    return log


class _Chain:
    """Positions and versions are without gaps, and every hash is what the rules make of the rows."""

    def __init__(self) -> None:
        self.position = 0
        self.versions: Counter[str] = Counter()
        self._head = hashing.CHAIN_START

    def faults_of(self, row: Row) -> Iterator[str]:
        self.position += 1
        self.versions[row["stream"]] += 1
        if (row["position"], row["version"]) != (self.position, self.versions[row["stream"]]):
            yield f"position {row['position']} is out of place"
        if row["payload"] is not None:
            digest = hashing.payload_hash(row["salt"], row["payload"])
            if digest != row["payload_hash"]:
                yield f"position {self.position} has another payload than its hash says"
        envelope = {name: row[name] for name in _ENVELOPE}
        leaf = hashing.leaf(hashing.envelope(**envelope), row["payload_hash"])
        self._head = hashing.link(self._head, leaf)
        if self._head != row["chain_hash"]:
            yield f"position {self.position} breaks the chain"


def _take_in(log: Log, row: Row, content: object) -> None:
    kind, _, key = str(row["stream"]).partition("-")
    if kind == "execution":
        _take_in_check(log, key, row, content)
    elif kind == "job":
        _take_in_job(log, key, row["position"], content)
    elif isinstance(content, PingReceived):
        log.pings.append((row["subject"], content))
    elif isinstance(content, HeartbeatMissed):
        log.misses.append((row["subject"], content, _moment(row)))


def _take_in_check(log: Log, execution_id: str, row: Row, content: object) -> None:
    check = log.checks.get(execution_id)
    if check is None:
        check = log.checks[execution_id] = LoggedCheck(
            execution_id=execution_id, job_id=row["subject"], position=row["position"]
        )
    check.moved.append(_moment(row))
    check.erased |= content is None
    match content:
        case CheckDue() | CheckSkipped():
            check.tick, check.skipped_ticks = content.tick, content.skipped_ticks
            check.status = "queued" if isinstance(content, CheckDue) else "skipped"
        case CheckStarted():
            check.status = "running"
            check.began.append(content.started_at)
        case CheckSucceeded():
            check.status, check.status_code = "success", content.status_code
        case CheckFailed():
            check.status, check.status_code = "failed", content.status_code
            check.reason = content.reason
        case None if row["type"] == "CheckStarted":
            check.began.append(_moment(row))
        case None | RunRequested():
            pass
        case other:
            log.faults.append(f"position {row['position']}: {type(other)} in an execution's stream")


def _take_in_job(log: Log, job_id: str, position: int, content: object) -> None:
    if content is None or isinstance(content, JobDeleted):
        log.jobs.pop(job_id, None)
        log.deleted.add(job_id)
        return
    if isinstance(content, JobCreated):
        created = LoggedJob(settings=[content.settings], paused=content.paused, terms=[])
        log.jobs[job_id] = created
        _new_terms(created, content.created_at, position)
        return
    job = log.jobs.get(job_id)
    if job is None:
        log.faults.append(f"position {position}: a job that was never created, or is deleted")
        return
    match content:
        case JobUpdated():
            job.settings.append(content.settings)
            if content.reschedules:
                silenced = "mode" in content.changed and content.settings.mode != "active"
                _new_terms(job, content.updated_at, position, stops=silenced)
        case JobPaused():
            job.paused = True
            _new_terms(job, content.paused_at, position, stops=True)
        case JobResumed():
            job.paused = False
            _new_terms(job, content.resumed_at, position)


def _new_terms(job: LoggedJob, since: datetime, position: int, *, stops: bool = False) -> None:
    terms = Terms(since=since, position=position, seconds=job.ticks_by_now, stops=stops)
    job.terms.append(terms)


def _moment(row: Row) -> datetime:
    return _EPOCH + timedelta(microseconds=row["recorded_at"])

"""Read models and a log with enough in them that a plan without an index would be a bad one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from eventstore.claims import BUCKETS
from eventstore.tables import events, sealed_subjects, secrets
from projections.api_keys import api_key_usage, api_keys
from projections.checks_in_flight import checks_in_flight
from projections.due_ticks import due_ticks
from projections.execution_rows import executions
from projections.heartbeats import heartbeats
from projections.job_status import job_status
from projections.jobs import jobs
from projections.projects import projects
from projections.rows import bulk_on

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACCOUNT = "default"
PROJECTS = 200
JOBS = 3_000
HISTORY = 8_000
IN_FLIGHT = 2_000
EVENTS = 12_000
TYPES = ("CheckDue", "CheckStarted", "CheckSucceeded", "PingReceived", "JobUpdated", "JobDeleted")


def job_id(number: int) -> str:
    """Ids end in any of 36 characters, as real ones do."""
    return f"job-{number:05}{BUCKETS[number % 36]}"


BUSY = job_id(0)
"""A job with a long history; the others have a short one."""


def fill(connection: Connection) -> None:
    bulk = bulk_on(connection)
    for table, rows in (
        (projects, [_project(n) for n in range(PROJECTS)]),
        (jobs, [_job(n) for n in range(JOBS)]),
        (job_status, [_status(n) for n in range(JOBS)]),
        (due_ticks, [_due_tick(n) for n in range(JOBS)]),
        (heartbeats, [_heartbeat(n) for n in range(JOBS)]),
        (executions, [execution(n) for n in range(HISTORY + 3 * JOBS)]),
        (checks_in_flight, [_in_flight(n) for n in range(IN_FLIGHT)]),
        (api_keys, [_key(n) for n in range(400)]),
        (api_key_usage, [{"key_id": f"key-{n}", "last_used_at": NOON} for n in range(400)]),
    ):
        bulk.insert(connection, table, rows)
    connection.execute(insert(events), [_event(n) for n in range(1, EVENTS + 1)])
    connection.execute(insert(secrets), [_secret(n) for n in range(600)])
    connection.execute(insert(sealed_subjects), [_seal(n) for n in range(600)])


def _account(number: int) -> str:
    """Most is in one account: what is picked by the account alone is nearly everything."""
    return ACCOUNT if number % 10 else f"account-{number % 70}"


def _project(n: int) -> dict[str, Any]:
    return {"id": f"project-{n}", "account": _account(n), "position": n, "name": "P", "url": "u"}


def _job(n: int) -> dict[str, Any]:
    return dict.fromkeys(jobs.columns.keys(), "x") | {
        "id": job_id(n),
        "account": _account(n),
        "project_id": f"project-{n % PROJECTS}",
        "position": n,
        "headers": "[]",
        "heartbeat": True,
        "heartbeat_tolerance": 5,
        "timeout": 30,
        "expected_status_code": 200,
        "headers_secret_id": f"secret-{n}",
        "paused": False,
        "created_at": NOON,
    }


def _status(n: int) -> dict[str, Any]:
    return {
        "job_id": job_id(n),
        "paused": False,
        "last_status": "success",
        "last_status_at": NOON,
        "last_activity_at": NOON,
    }


def _due_tick(n: int) -> dict[str, Any]:
    return {
        "job_id": job_id(n),
        "account": _account(n),
        "mode": "active",
        "schedule": "* * * * *",
        "timezone": "UTC",
        "scheduled_since": NOON,
        "tick": None if n % 5 == 0 else NOON + n * SECOND,
        "last_tick": NOON,
        "overdue": 0,
        "job_version": 1,
    }


def _heartbeat(n: int) -> dict[str, Any]:
    return {
        "job_id": job_id(n),
        "account": _account(n),
        "version": 1,
        "closes_at": None if n % 3 == 0 else NOON + n * SECOND,
        "state": "{}",
    }


def execution(n: int) -> dict[str, Any]:
    """The busy job's first, oldest first; then three of each job: an end, a ping's start and a failure."""
    busy = n < HISTORY
    happened_at = NOON + (n % HISTORY) * SECOND
    kind = n % 3
    running = not busy and kind == 1 and n % 100 == 1
    return dict.fromkeys(executions.columns.keys()) | {
        "id": f"execution-{n}",
        "job_id": BUSY if busy else job_id(n % JOBS),
        "account": ACCOUNT,
        "position": n,
        "trigger": "ping" if kind == 1 else "schedule",
        "status": "running" if running else "failed" if n % 50 == 2 else "success",
        "happened_at": happened_at,
        "started_at": happened_at,
        "skipped_ticks": 0,
    }


def _in_flight(n: int) -> dict[str, Any]:
    started = n % 2 == 0
    return {
        "execution_id": f"check-{n}",
        "job_id": job_id(n),
        "account": _account(n),
        "version": 1 + started,
        "status": "running" if started else "queued",
        "attempt": int(started),
        "queued_at": NOON + n * SECOND,
        "tick": NOON,
        "deadline": NOON + n * SECOND if started else None,
        "cause": "event",
        "correlation_id": "request",
    }


def _key(n: int) -> dict[str, Any]:
    return {
        "id": f"key-{n}",
        "account": _account(n),
        "position": n,
        "name": "k",
        "permissions": "[]",
        "key_hash": f"hash-{n}",
        "created_at": NOON,
        "revoked_at": None,
    }


def _event(n: int) -> dict[str, Any]:
    return {
        "position": n,
        "stream": f"stream-{n % 3_000}",
        "version": 1 + n // 3_000,
        "event_id": f"event-{n}",
        "type": TYPES[0] if n % 2 else TYPES[n % len(TYPES)],
        "schema_version": 1,
        "payload": b"{}",
        "salt": b"salt",
        "payload_hash": b"hash",
        "chain_hash": b"hash",
        "subject": job_id(n % JOBS),
        "account": ACCOUNT,
        "actor": "test",
        "recorded_at": NOON,
        "correlation_id": "request",
        "causation_id": None,
    }


def _secret(n: int) -> dict[str, Any]:
    return {
        "secret_id": f"secret-{n}",
        "subject": job_id(n),
        "key_id": "key",
        "ciphertext": b"sealed",
    }


def _seal(n: int) -> dict[str, Any]:
    return {
        "subject": f"gone-{n}",
        "sealed_position": n,
        "erased_position": 0,
        "finished": n % 100 != 0,
    }

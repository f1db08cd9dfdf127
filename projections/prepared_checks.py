"""Checks that are to be made, with all that their calls need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from eventstore.secrets import SecretBox
from projections import checks_in_flight, header_values, jobs
from projections.checks_in_flight import CheckInFlight
from projections.jobs import JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCheck:
    """A check that may be called: where it stands, its job, and the header values to send.

    ``headers`` is None where the stored values can't be read.
    """

    in_flight: CheckInFlight
    job: JobView
    headers: dict[str, str] | None


def by_ids(
    connection: Connection, *, secrets: SecretBox, execution_ids: Sequence[str]
) -> list[PreparedCheck]:
    """Those of these executions that have not ended and whose job exists."""
    found = checks_in_flight.by_ids(connection, execution_ids)
    views = jobs.by_ids(connection, list({each.job_id for each in found}))
    header_sets = (view.settings.headers for view in views.values())
    values = header_values.find(connection, secrets, header_sets)
    return [
        PreparedCheck(
            in_flight=each, job=view, headers=header_values.of(view.settings.headers, values)
        )
        for each in found
        if (view := views.get(each.job_id)) is not None
    ]

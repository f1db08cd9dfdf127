"""Recording pings: durable before they are answered, and never waiting for each other."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from api.service import Caller, Service
from domain import heartbeat
from domain.errors import NotFound
from domain.heartbeat import PingKind, PingReceived
from eventstore.store import ANY_VERSION, Append, SubjectSealed
from projections import jobs

REMEMBERED_JOBS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """What a client said, cut to what is kept."""

    kind: PingKind
    run_id: str | None = None
    client: str | None = None
    message: str | None = None
    output: str | None = None


class PingRecorder:
    """Appends pings. Remembers which account a job belongs to: that never changes while it exists."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._accounts: OrderedDict[str, str] = OrderedDict()

    async def record(self, job_id: str, ping: Ping, *, correlation_id: str) -> None:
        """Record a ping of the job; returns once it is durable. Raises ``NotFound``."""
        service = self._service
        account = self._accounts.get(job_id) or await self._account_of(job_id)
        at = service.now()
        caller = Caller(account=account, actor="ping", correlation_id=correlation_id)
        received = PingReceived(
            ping_id=service.new_id(),
            kind=ping.kind,
            received_at=at,
            run_id=ping.run_id,
            client=ping.client,
            message=ping.message,
            output=ping.output,
        )
        recorded = service.log.write(
            heartbeat.stream(job_id),
            (received,),
            expected_version=ANY_VERSION,
            subject=job_id,
            context=service.context(caller, at=at),
        )
        try:
            await service.log.append(Append(writes=(recorded,)))
        except SubjectSealed:
            self._accounts.pop(job_id, None)
            raise NotFound("job") from None

    async def _account_of(self, job_id: str) -> str:
        account = await self._service.log.database.read(lambda c: jobs.account_of(c, job_id))
        if account is None:
            raise NotFound("job")
        self._accounts[job_id] = account
        if len(self._accounts) > REMEMBERED_JOBS:
            self._accounts.popitem(last=False)
        return account

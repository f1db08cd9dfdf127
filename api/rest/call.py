"""What an endpoint gets: who calls, and what was sent, read as far as the endpoint asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import Receive, Scope

from api.edge import Edge, edge_of
from api.request_body import read_body
from api.rest.json_object import check_media_type, parse_object
from api.rest.query import read_query
from api.service import Caller, Service
from domain.errors import NotFound

BODY_LONGEST: Final = 1024 * 1024
"""Bytes. The largest job there can be has less than half of that, every character of it escaped."""

_ID = re.compile("[a-z0-9]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


class Call(Request):
    """A request that was found to be allowed, and on whose behalf it's served."""

    def __init__(self, scope: Scope, receive: Receive, caller: Caller) -> None:
        super().__init__(scope, receive)
        self.caller = caller

    @property
    def edge(self) -> Edge:
        """What it is served from."""
        return edge_of(self.scope)

    @property
    def service(self) -> Service:
        """The way to commands and queries."""
        return self.edge.service

    @property
    def account(self) -> str:
        """The account that the caller's key belongs to."""
        return self.caller.account

    def id_of(self, kind: str) -> str:
        """The id in the path, of a project or a job. Raises ``NotFound`` for what can't be one."""
        return checked_id(kind, self.path_params[f"{kind}_id"])

    def query(self, *allowed: str) -> Mapping[str, str]:
        """The query parameters. Raises ``InvalidField`` for one that isn't allowed here."""
        return read_query(self.scope["query_string"], allowed)

    async def fields(self, *, may_be_missing: bool = False) -> dict[str, object]:
        """The fields of the JSON object that was sent; if that may be missing, none for no body.

        Raises :class:`~api.errors.MalformedRequest`, :class:`~api.errors.UnsupportedMediaType`,
        :class:`~api.errors.BodyTooLarge`.
        """
        check_media_type(self.headers.get("content-type"), self.headers.get("content-encoding"))
        body = await read_body(self.scope, self.receive, longest=BODY_LONGEST)
        return {} if may_be_missing and not body else parse_object(body)

    def location(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Where a path of this service is found; without its host where nobody says what that is."""
        where = f"{self._origin()}{path}"
        return f"{where}?{urlencode(query)}" if query else where

    def _origin(self) -> str:
        if self.edge.public_url is not None:
            return self.edge.public_url
        host = self.headers.get("host", "")
        return f"{self.scope['scheme']}://{host}" if _HOST.fullmatch(host) else ""


def checked_id(kind: str, spelt: str) -> str:
    """What may be an id. Raises ``NotFound`` for what can't be, without a look-up."""
    if not _ID.fullmatch(spelt):
        raise NotFound(kind)
    return spelt

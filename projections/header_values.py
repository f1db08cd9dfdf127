"""The header values of jobs, which are kept encrypted beside the log: sealed, found and opened.

No event and no read model holds them; a job's row refers to them by the id of their secret.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, select

from domain.headers import NO_HEADERS, HeaderMark, HeaderSet
from eventstore.secrets import SecretBox, SecretUnreadable
from eventstore.store import SealedSecret
from eventstore.tables import secrets
from projections.listed import among

_log = logging.getLogger(__name__)

_SECRETS = select(secrets).where(among(secrets.c.secret_id, "secret_ids"))


def seal(
    box: SecretBox, *, secret_id: str, job_id: str, values: Mapping[str, str]
) -> tuple[HeaderSet, tuple[SealedSecret, ...]]:
    """The marks that an event may carry, and the secret to be stored with it."""
    if not values:
        return NO_HEADERS, ()
    sealed = box.seal(secret_id, job_id, msgspec.json.encode(values))
    marks = tuple(
        HeaderMark(name=name, fingerprint=box.fingerprint(value)) for name, value in values.items()
    )
    return HeaderSet(marks=marks, secret_id=secret_id), (sealed,)


def find(
    connection: Connection, box: SecretBox, header_sets: Iterable[HeaderSet]
) -> dict[str, dict[str, str]]:
    """The header values of these sets by the id of their secret, each in the order it was given.

    Values that were sealed with a secret key that is not known here are left out.
    """
    ids = [each.secret_id for each in header_sets if each.secret_id is not None]
    found: dict[str, dict[str, str]] = {}
    if not ids:
        return found
    for row in connection.execute(_SECRETS, {"secret_ids": ids}):
        sealed = SealedSecret(
            secret_id=row.secret_id,
            subject=row.subject,
            key_id=row.key_id,
            ciphertext=row.ciphertext,
        )
        try:
            content = box.open(sealed)
        except SecretUnreadable as unreadable:
            _log.warning("header values can't be read: %s", unreadable)
        else:
            found[sealed.secret_id] = msgspec.json.decode(content, type=dict[str, str])
    return found


def of(headers: HeaderSet, found: Mapping[str, dict[str, str]]) -> dict[str, str] | None:
    """The values of one set among those found; None if they can't be read."""
    return {} if headers.secret_id is None else found.get(headers.secret_id)

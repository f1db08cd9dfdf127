"""The hash chain: how anybody, in any language, proves that the log was not rewritten.

``H`` is SHA-256, ``||`` joins bytes, numbers are in decimal ASCII, texts in UTF-8. A field of *n*
bytes is written as a netstring (https://cr.yp.to/proto/netstrings.txt): ``n:bytes,`` with *n* in
decimal; an absent field as ``-,``. So no two envelopes have the same bytes.

1. The envelope of an event is the text ``cronpulse-event-1`` and these fields, in this order, each
   as a netstring: position, stream, version, event id, type, schema version, subject, account,
   actor, the time in whole microseconds since 1970-01-01T00:00:00Z, correlation id, causation id
   (the only one that may be absent).
2. ``payload_hash = H(salt || payload)``, with a salt of 16 random bytes of its own, so that the
   hash of an erased payload can't be guessed back.
3. ``leaf = H(envelope || payload_hash)``.
4. ``chain_n = H(chain_(n-1) || leaf_n)``, where ``chain_0`` is 32 zero bytes.

Erasing takes payload and salt away and leaves ``payload_hash``: the leaf, and with it the chain,
can still be recomputed. Whoever keeps one ``chain_n`` elsewhere can later show that nothing up to
position *n* was changed, dropped, reordered or slipped in.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

SALT_BYTES: Final = 16
CHAIN_START: Final = bytes(32)
"""The chain's head before the first event."""

_LABEL: Final = b"17:cronpulse-event-1,"


def envelope(
    *,
    position: int,
    stream: str,
    version: int,
    event_id: str,
    type: str,  # noqa: A002  (the event's own word)
    schema_version: int,
    subject: str,
    account: str,
    actor: str,
    recorded_at: int,
    correlation_id: str,
    causation_id: str | None,
) -> bytes:
    """The bytes that stand for everything about an event but its payload (step 1).

    ``recorded_at`` is in microseconds since the epoch.
    """
    fields = (
        str(position),
        stream,
        str(version),
        event_id,
        type,
        str(schema_version),
        subject,
        account,
        actor,
        str(recorded_at),
        correlation_id,
    )
    parts = [_LABEL]
    for field in fields:
        data = field.encode()
        parts.append(b"%d:%b," % (len(data), data))
    if causation_id is None:
        parts.append(b"-,")
    else:
        data = causation_id.encode()
        parts.append(b"%d:%b," % (len(data), data))
    return b"".join(parts)


def payload_hash(salt: bytes, payload: bytes) -> bytes:
    """What stays of a payload after its erasure (step 2)."""
    return sha256(salt + payload).digest()


def leaf(envelope_bytes: bytes, payload_digest: bytes) -> bytes:
    """The one event's hash (step 3)."""
    return sha256(envelope_bytes + payload_digest).digest()


def link(previous: bytes, leaf_digest: bytes) -> bytes:
    """The chain's head after one more event (step 4)."""
    return sha256(previous + leaf_digest).digest()

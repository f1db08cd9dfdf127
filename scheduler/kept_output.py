"""What is kept of a failed check's answer: the beginning of its body, without secrets."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

from domain.headers import MASK, MAX_BYTES, is_secret

OUTPUT_BYTES = 4096
"""Bytes of the body that the output shows."""

_HELD_BYTES = OUTPUT_BYTES + MAX_BYTES  # so that a header's value at the output's end is whole
_TELLING_LENGTH = 8  # characters of a word in a secret that is one by itself, unlike "Bearer"


class KeptOutput:
    """Takes the body of an answer to a request with ``headers``, part by part.

    An answer may well repeat what was sent: debugging pages do, and so do error messages. What
    the job's secret headers say is masked in the output, as far as it is repeated literally.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._body = bytearray()

    @property
    def is_full(self) -> bool:
        """Whether no more of the body makes a difference."""
        return len(self._body) >= _HELD_BYTES

    def keep(self, part: bytes) -> None:
        """Take the next part of the body."""
        self._body += part[: _HELD_BYTES - len(self._body)]

    def text(self) -> str | None:
        """Return the output, or None for a body without a byte."""
        if not self._body:
            return None
        shown = _masked(bytes(self._body), _secrets(self._headers))
        is_whole = len(self._body) <= OUTPUT_BYTES
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # drops a character cut in two
        decoded = decoder.decode(shown, final=is_whole)
        return decoded.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text has no NUL


def _secrets(headers: Mapping[str, str]) -> set[bytes]:
    """Return the values of secret headers, and the telling words in them, like a bearer's token."""
    values = {value.strip() for name, value in headers.items() if is_secret(name)}
    words = {word for value in values for word in re.split(r"[\s;,=]+", value)}
    secrets = values | {word for word in words if len(word) >= _TELLING_LENGTH}
    return {secret.encode() for secret in secrets if secret}


def _masked(body: bytes, secrets: set[bytes]) -> bytes:
    """Return the first ``OUTPUT_BYTES`` of ``body`` with each of ``secrets`` masked."""
    if not secrets:
        return body[:OUTPUT_BYTES]
    longest_first = sorted(secrets, key=len, reverse=True)
    shown, end = b"", 0
    for found in re.finditer(b"|".join(map(re.escape, longest_first)), body):
        if found.start() >= OUTPUT_BYTES:
            break
        shown += body[end : found.start()] + MASK.encode()
        end = found.end()
    return shown + body[end:OUTPUT_BYTES]

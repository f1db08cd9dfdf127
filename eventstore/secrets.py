"""Keeping secrets: sealing them for the database, and telling them apart without keeping them.

All keys come from the operator's secret key by HKDF-SHA256 (RFC 5869), one for each use. Values
are sealed with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce, with the row's secret id
and subject as associated data, so that a sealed value can't be moved to another row.

Several secret keys make rotation possible: the first one seals and hashes, all of them open. Each
sealed value names its key by an id, which tells nothing about the key.
"""

from __future__ import annotations

import hmac
import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eventstore.store import SealedSecret

MIN_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_ID_BYTES: Final = 8
_FINGERPRINT_BYTES: Final = 8


class SecretUnreadable(Exception):
    """A sealed value can't be opened: its key is not among ours, or the row was tampered with."""

    def __init__(self, secret_id: str, key_id: str, reason: str) -> None:
        super().__init__(f"secret {secret_id}, sealed with key {key_id}, can't be opened: {reason}")
        self.secret_id = secret_id
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class _Keys:
    """What one secret key is used for, each use with a key of its own."""

    key_id: str
    cipher: AESGCM = field(repr=False)
    api_keys: bytes = field(repr=False)
    fingerprints: bytes = field(repr=False)


class SecretBox:
    """Seals, opens, hashes and fingerprints with the operator's secret keys."""

    def __init__(
        self,
        secret_key: str | bytes,
        *older_keys: str | bytes,
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._keys = tuple(_derive(each) for each in (secret_key, *older_keys))
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return "SecretBox()"

    @property
    def key_id(self) -> str:
        """The id of the key that seals; rows with another are to be sealed anew after rotation."""
        return self._keys[0].key_id

    def seal(self, secret_id: str, subject: str, plaintext: bytes) -> SealedSecret:
        """Encrypt ``plaintext`` for the row ``secret_id`` of ``subject``."""
        keys = self._keys[0]
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = keys.cipher.encrypt(nonce, plaintext, _row_identity(secret_id, subject))
        return SealedSecret(
            secret_id=secret_id, subject=subject, key_id=keys.key_id, ciphertext=nonce + sealed
        )

    def open(self, secret: SealedSecret) -> bytes:
        """Decrypt what :meth:`seal` made. Raises :class:`SecretUnreadable`."""
        for keys in self._keys:
            if keys.key_id == secret.key_id:
                break
        else:
            raise SecretUnreadable(
                secret.secret_id, secret.key_id, "that key is not configured here"
            )
        nonce, sealed = secret.ciphertext[:_NONCE_BYTES], secret.ciphertext[_NONCE_BYTES:]
        try:
            return keys.cipher.decrypt(
                nonce, sealed, _row_identity(secret.secret_id, secret.subject)
            )
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise SecretUnreadable(
                secret.secret_id, secret.key_id, "it is not what was sealed"
            ) from None

    def fingerprint(self, value: str) -> str:
        """A short keyed hash of ``value``: equal values look equal, and nobody can try guesses."""
        digest = hmac.digest(self._keys[0].fingerprints, value.encode(), sha256)
        return digest[:_FINGERPRINT_BYTES].hex()

    def hash_api_key(self, key: str) -> str:
        """What is stored of an API key: HMAC-SHA256, in hexadecimal."""
        return hmac.digest(self._keys[0].api_keys, key.encode(), sha256).hex()

    def api_key_hashes(self, key: str) -> tuple[str, ...]:
        """Every hash that ``key`` may be stored under, newest secret key first."""
        return tuple(hmac.digest(keys.api_keys, key.encode(), sha256).hex() for keys in self._keys)


def _derive(secret_key: str | bytes) -> _Keys:
    material = secret_key.encode() if isinstance(secret_key, str) else secret_key
    if len(material) < MIN_KEY_BYTES:
        raise ValueError(f"the secret key needs at least {MIN_KEY_BYTES} bytes")

    def subkey(use: str, length: int = 32) -> bytes:
        info = f"cronpulse/1/{use}".encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(material)

    return _Keys(
        key_id=subkey("key id", _KEY_ID_BYTES).hex(),
        cipher=AESGCM(subkey("encryption")),
        api_keys=subkey("api keys"),
        fingerprints=subkey("fingerprints"),
    )


def _row_identity(secret_id: str, subject: str) -> bytes:
    """Unambiguous: each part is a netstring."""
    parts = (part.encode() for part in (secret_id, subject))
    return b"".join(b"%d:%b," % (len(part), part) for part in parts)

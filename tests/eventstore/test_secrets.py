"""Sealing, opening, rotating, hashing; and giving nothing away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventstore.secrets import SecretBox, SecretUnreadable
from eventstore.store import SealedSecret

KEY = "a secret key of the operator's"
OTHER_KEY = "another secret key, for later"
VALUE = b"Bearer hunter2"


@pytest.fixture
def box() -> SecretBox:
    return SecretBox(KEY)


@pytest.fixture
def sealed(box: SecretBox) -> SealedSecret:
    return box.seal("secret-1", "job-1", VALUE)


def test_what_was_sealed_opens(box: SecretBox, sealed: SealedSecret) -> None:
    assert box.open(sealed) == VALUE
    assert (sealed.secret_id, sealed.subject) == ("secret-1", "job-1")
    assert VALUE not in sealed.ciphertext


def test_a_key_may_come_as_bytes(sealed: SealedSecret) -> None:
    assert SecretBox(KEY.encode()).open(sealed) == VALUE


def test_the_same_value_is_never_sealed_the_same(box: SecretBox, sealed: SealedSecret) -> None:
    assert box.seal("secret-1", "job-1", VALUE).ciphertext != sealed.ciphertext


@pytest.mark.parametrize("changed", [{"secret_id": "secret-2"}, {"subject": "job-2"}])
def test_a_sealed_value_can_not_be_moved_to_another_row(
    box: SecretBox, sealed: SealedSecret, changed: dict[str, str]
) -> None:
    with pytest.raises(SecretUnreadable):
        box.open(replace(sealed, **changed))  # type: ignore[arg-type]


def test_the_border_between_id_and_subject_counts(box: SecretBox) -> None:
    sealed = box.seal("ab", "c", VALUE)
    with pytest.raises(SecretUnreadable):
        box.open(replace(sealed, secret_id="a", subject="bc"))


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_cut_value_does_not_open(box: SecretBox, sealed: SealedSecret, length: int) -> None:
    with pytest.raises(SecretUnreadable, match="not what was sealed"):
        box.open(replace(sealed, ciphertext=sealed.ciphertext[:length]))


def test_each_byte_of_a_sealed_value_counts(box: SecretBox, sealed: SealedSecret) -> None:
    for n in range(len(sealed.ciphertext)):
        changed = bytearray(sealed.ciphertext)
        changed[n] ^= 1
        with pytest.raises(SecretUnreadable):
            box.open(replace(sealed, ciphertext=bytes(changed)))


def test_a_value_sealed_with_an_unknown_key_names_the_key_and_not_the_value(
    sealed: SealedSecret,
) -> None:
    with pytest.raises(SecretUnreadable, match=sealed.key_id) as refusal:
        SecretBox(OTHER_KEY).open(sealed)
    assert refusal.value.key_id == sealed.key_id
    assert "hunter2" not in str(refusal.value)
    assert sealed.ciphertext.hex() not in str(refusal.value)


def test_after_a_rotation_the_first_key_seals_and_all_open(sealed: SealedSecret) -> None:
    rotated = SecretBox(OTHER_KEY, KEY)

    assert rotated.open(sealed) == VALUE
    new = rotated.seal("secret-2", "job-1", VALUE)
    assert new.key_id == rotated.key_id != sealed.key_id
    assert SecretBox(OTHER_KEY).open(new) == VALUE


def test_an_api_key_is_found_under_every_secret_key() -> None:
    old, new = SecretBox(KEY), SecretBox(OTHER_KEY)
    rotated = SecretBox(OTHER_KEY, KEY)

    assert rotated.hash_api_key("cpk_x") == new.hash_api_key("cpk_x")
    assert rotated.api_key_hashes("cpk_x") == (
        new.hash_api_key("cpk_x"),
        old.hash_api_key("cpk_x"),
    )
    assert old.hash_api_key("cpk_x") != old.hash_api_key("cpk_y")


def test_each_use_has_a_key_of_its_own(box: SecretBox) -> None:
    assert not box.hash_api_key("same").startswith(box.fingerprint("same"))


def test_a_fingerprint_tells_values_apart_and_is_short(box: SecretBox) -> None:
    assert box.fingerprint("a") == SecretBox(KEY).fingerprint("a")
    assert box.fingerprint("a") != box.fingerprint("b")
    assert box.fingerprint("a") != SecretBox(OTHER_KEY).fingerprint("a")
    assert len(box.fingerprint("a")) == 16


def test_what_was_derived_never_changes(box: SecretBox) -> None:
    """Stored values depend on it. Computed from RFC 5869 with nothing but HMAC."""
    assert box.key_id == "8bf7a2dadf6238cc"
    assert box.hash_api_key("cpk_x") == (
        "70ca157432472a083eb810171526a0e7bbf6f7f02a52fe853c05c4af0f89754c"
    )
    assert box.fingerprint("hunter2") == "34234b91a9949000"


def test_a_box_shows_nothing_of_its_keys(box: SecretBox) -> None:
    shown = repr(box) + str(box) + repr(box._keys)
    assert KEY not in shown
    for key in box._keys:
        assert repr(key.api_keys) not in shown
        assert repr(key.fingerprints) not in shown


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes") as refusal:
        SecretBox("short-and-sweet")
    assert "short-and" not in str(refusal.value)

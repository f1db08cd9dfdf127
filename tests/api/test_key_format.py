import secrets
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.key_format import GENERATED, fault, is_well_formed, new_key

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
generated_keys = st.binary(min_size=32, max_size=32).map(lambda drawn: new_key(lambda _: drawn))


def swapped(key: str, at: int) -> str:
    return key[:at] + key[at + 1] + key[at] + key[at + 2 :]


def numbered_key(number: int) -> str:
    return new_key(lambda count: sha256(str(number).encode()).digest()[:count])


@given(generated_keys)
def test_a_new_key_is_the_prefix_and_39_characters_of_base62_and_well_formed(key: str) -> None:
    assert key.startswith("cpk_")
    assert len(key) == 4 + GENERATED == 43
    assert set(key[4:]) <= set(BASE62)
    assert is_well_formed(key)


def test_the_checksum_is_the_crc32_of_the_random_part_in_base62() -> None:
    digits = (2, 6, 11, 34, 33, 25)
    assert zlib.crc32(b"0" * 33) == sum(digit * 62**at for at, digit in enumerate(digits[::-1]))
    assert new_key(bytes) == "cpk_" + "0" * 33 + "26BYXP"


def test_a_key_spends_256_random_bits_asked_for_once() -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return secrets.token_bytes(count)

    new_key(random)
    assert asked == [32]


def test_keys_from_different_bytes_differ_in_every_position_now_and_then() -> None:
    keys = [numbered_key(number) for number in range(500)]
    assert len(set(keys)) == 500
    for position in range(4, 4 + 33):
        assert len({key[position] for key in keys}) > 50


@given(key=generated_keys, data=st.data())
def test_a_wrong_character_anywhere_is_noticed(key: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key) - 1))
    wrong = data.draw(st.sampled_from([each for each in BASE62 + "_-" if each != key[at]]))
    assert not is_well_formed(key[:at] + wrong + key[at + 1 :])


def test_every_wrong_character_in_every_position_of_a_key_is_noticed() -> None:
    key = numbered_key(0)
    for at in range(len(key)):
        for wrong in set(BASE62 + "_-") - {key[at]}:
            assert not is_well_formed(key[:at] + wrong + key[at + 1 :])


@given(generated_keys)
def test_two_swapped_neighbours_anywhere_are_noticed(key: str) -> None:
    for at in range(len(key) - 1):
        if key[at] != key[at + 1]:
            assert not is_well_formed(swapped(key, at))


def test_neighbours_swapped_between_the_random_part_and_the_checksum_are_noticed() -> None:
    """The one swap that changes both, so that the strength of a CRC does not settle it."""
    border = 4 + 33 - 1
    keys = [numbered_key(number) for number in range(3_000)]
    likely = [key for key in keys if key[border] in "01234" and key[border] != key[border + 1]]
    assert len(likely) > 100
    assert not any(is_well_formed(swapped(key, border)) for key in likely)


@pytest.mark.parametrize(
    "key",
    [
        "cpk_" + "a" * 32,
        "cpk_" + "a" * 38,
        "cpk_" + "a" * 40,
        "cpk_" + "a" * 200,
        "cpk_Zz09_-" + "b" * 40,
    ],
)
def test_a_key_of_another_length_is_well_formed_by_its_characters_alone(key: str) -> None:
    assert is_well_formed(key)
    assert fault(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "cpk_",
        "cpk_" + "a" * 31,
        "cpk_" + "a" * 201,
        "CPK_" + "a" * 32,
        "cpk-" + "a" * 32,
        "a" * 40,
        " cpk_" + "a" * 32,
        "cpk_" + "a" * 32 + "\n",
        "cpk_" + "a" * 31 + " ",
        "cpk_" + "a" * 31 + "é",
        "cpk_" + "a" * 31 + "\udcff",
        "cpk_" + "a" * 31 + "٣",
        "cpk_" + "a" * 31 + ".",
    ],
)
def test_what_has_another_prefix_alphabet_or_length_is_no_key(key: str) -> None:
    assert not is_well_formed(key)
    assert "32 to 200" in (fault(key) or "")


def test_a_key_of_the_generated_length_without_its_checksum_is_called_mistyped() -> None:
    assert "mistyped" in (fault("cpk_" + "a" * GENERATED) or "")


@given(st.text())
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert is_well_formed(text) is (fault(text) is None)
    assert not is_well_formed(text.replace("cpk_", ""))

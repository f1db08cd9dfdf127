"""Every row of the table "Fields of a job": what may be sent, what may not, and what is the default."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.headers import NO_HEADERS, HeaderMark, HeaderSet
from domain.job_fields import (
    BLANK,
    RULES,
    WIRE_NAMES,
    CheckedFields,
    JobSettings,
    check_changes,
    check_new,
    first_settings,
)

REQUIRED = {
    "name": "Nightly backup",
    "projectId": "p1",
    "url": "https://example.com/backup",
    "method": "POST",
    "schedule": "0 3 * * *",
}
SETTINGS = JobSettings(
    name="Nightly backup", url="https://example.com/backup", method="POST", schedule="0 3 * * *"
)
MARKED = HeaderSet(marks=(HeaderMark(name="X-Key", fingerprint="f"),), secret_id="s1")
KIB = 1024


def settings_with(**sent: Any) -> JobSettings:
    return first_settings(check_new(REQUIRED | sent), NO_HEADERS)


def refusal(**sent: Any) -> str:
    """The message that both a creation and a change answer with."""
    (field,) = sent
    messages = []
    for check, around in ((check_new, REQUIRED), (check_changes, {})):
        with pytest.raises(InvalidField) as refused:
            check(around | sent).applied_to(SETTINGS, NO_HEADERS)
        assert refused.value.field == field
        messages.append(refused.value.message)
    assert messages[0] == messages[1]
    return messages[0]


class TestDefaults:
    def test_the_required_fields_are_enough(self) -> None:
        assert settings_with() == JobSettings(
            name="Nightly backup",
            url="https://example.com/backup",
            method="POST",
            schedule="0 3 * * *",
            timezone="UTC",
            mode="active",
            heartbeat=False,
            heartbeat_tolerance=5,
            timeout=30,
            expected_status_code=200,
            headers=HeaderSet(marks=(), secret_id=None),
            body=None,
        )

    def test_what_was_not_sent_is_told_from_what_was(self) -> None:
        sent = check_new(REQUIRED)
        assert (sent.project_id, sent.paused, sent.headers) == ("p1", None, None)
        assert check_changes({}) == CheckedFields(values={})

    @pytest.mark.parametrize("field", list(REQUIRED))
    def test_each_required_field_is_required(self, field: str) -> None:
        sent = {name: value for name, value in REQUIRED.items() if name != field}
        with pytest.raises(InvalidField) as refused:
            check_new(sent)
        assert refused.value.message == f"{field}: is required"

    def test_nothing_is_required_of_a_change(self) -> None:
        assert check_changes({}).applied_to(SETTINGS, MARKED).headers == MARKED

    def test_the_fields_are_those_of_the_contract(self) -> None:
        assert set(RULES) == {
            "name",
            "projectId",
            "url",
            "method",
            "schedule",
            "timezone",
            "mode",
            "heartbeat",
            "heartbeatTolerance",
            "timeout",
            "expectedStatusCode",
            "headers",
            "body",
            "paused",
        }

    def test_every_setting_has_a_name_on_the_wire(self) -> None:
        assert set(WIRE_NAMES) == {field.name for field in fields(JobSettings)}
        assert WIRE_NAMES["heartbeat_tolerance"] == "heartbeatTolerance"
        assert WIRE_NAMES["expected_status_code"] == "expectedStatusCode"


class TestRows:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "n"),
            ("name", "n" * 200),
            ("url", "http://a"),
            ("url", "https://example.com/".ljust(2048, "x")),
            *(("method", m) for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
            ("schedule", "*/5 * * * *"),
            ("schedule", "@hourly"),
            ("schedule", "30 */5 * * * *"),
            ("schedule", ",".join(["0"] * 60) + " * * * *"),
            ("timezone", "Europe/Berlin"),
            ("timezone", "America/Argentina/ComodRivadavia"),
            ("mode", "active"),
            ("mode", "passive"),
            ("heartbeat", True),
            ("heartbeat", False),
            ("heartbeatTolerance", 0),
            ("heartbeatTolerance", 10_080),
            ("timeout", 1),
            ("timeout", 300),
            ("expectedStatusCode", 100),
            ("expectedStatusCode", 599),
            ("body", None),
            ("body", ""),
            ("body", '{"a": "ä"}\r\n\t'),
            ("body", "b" * 64 * KIB),
            ("body", "ä" * 32 * KIB),
        ],
    )
    def test_what_is_allowed_is_taken_as_it_is(self, field: str, value: Any) -> None:
        attribute = {wire: name for name, wire in WIRE_NAMES.items()}[field]
        taken = settings_with(**{field: value})
        assert getattr(taken, attribute) == value
        changed = check_changes({field: value}).applied_to(SETTINGS, NO_HEADERS)
        assert changed == JobSettings(
            **{each.name: getattr(SETTINGS, each.name) for each in fields(JobSettings)}
            | {attribute: value}
        )

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("name", "", "1 to 200 characters"),
            ("name", "n" * 201, "1 to 200 characters"),
            ("name", " ", "spaces"),
            ("name", "a\nb", "control"),
            ("url", "", "2,048"),
            ("url", "https://example.com/".ljust(2049, "x"), "2,048"),
            ("url", "ftp://example.com", "http or https"),
            ("url", "https://u:p@example.com", "without a user:password part"),
            ("method", "get", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("method", "TRACE", "GET, HEAD"),
            ("method", "CONNECT", "GET, HEAD"),
            ("method", "", "GET, HEAD"),
            ("schedule", "", "1 to 128 characters"),
            ("schedule", "* * * * *".ljust(129), "1 to 128 characters"),
            ("schedule", "* * * *", ""),
            ("schedule", "61 * * * *", ""),
            ("schedule", "0 0 30 2 *", ""),
            ("schedule", "* * * * *\n*", ""),
            ("timezone", "", "1 to 64 characters"),
            ("timezone", "Z" * 65, "1 to 64 characters"),
            ("timezone", "Mars/Olympus", ""),
            ("timezone", "../UTC", ""),
            ("mode", "Active", "active, passive"),
            ("mode", "", "active, passive"),
            ("heartbeatTolerance", -1, "from 0 to 10,080"),
            ("heartbeatTolerance", 10_081, "from 0 to 10,080"),
            ("heartbeatTolerance", 0.5, "from 0 to 10,080"),
            ("timeout", 0, "from 1 to 300"),
            ("timeout", 301, "from 1 to 300"),
            ("timeout", 10**400, "from 1 to 300"),
            ("timeout", 1e308, "from 1 to 300"),
            ("timeout", float("nan"), "from 1 to 300"),
            ("timeout", float("inf"), "from 1 to 300"),
            ("expectedStatusCode", 99, "from 100 to 599"),
            ("expectedStatusCode", 600, "from 100 to 599"),
            ("headers", {"Host": "a"}, "Host"),
            ("headers", {"A": "b\r\n"}, "CR, LF, NUL"),
            ("body", "b" * (64 * KIB + 1), "64 KiB"),
            ("body", "ä" * (32 * KIB) + "b", "64 KiB"),
            ("body", "\ud800" * (64 * KIB + 1), "64 KiB"),
        ],
    )
    def test_what_is_not_allowed_is_refused_with_what_is(
        self, field: str, value: Any, said: str
    ) -> None:
        assert said in refusal(**{field: value})

    @pytest.mark.parametrize(
        "field", ["name", "url", "method", "schedule", "timezone", "mode", "body"]
    )
    @pytest.mark.parametrize("value", [5, 1.5, True, [], {}, "a\x00", "\ud800"])
    def test_a_text_is_nothing_else(self, field: str, value: Any) -> None:
        refusal(**{field: value})

    @pytest.mark.parametrize("field", ["heartbeatTolerance", "timeout", "expectedStatusCode"])
    @pytest.mark.parametrize("value", [True, False, "100", "", [], {}, 100.5])
    def test_a_number_is_nothing_else(self, field: str, value: Any) -> None:
        refusal(**{field: value})

    @pytest.mark.parametrize("field", ["heartbeat", "paused"])
    @pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
    def test_a_boolean_is_nothing_else(self, field: str, value: Any) -> None:
        refusal(**{field: value})

    @pytest.mark.parametrize("value", [[], "a", 5, True])
    def test_headers_are_an_object(self, value: Any) -> None:
        refusal(headers=value)

    @pytest.mark.parametrize("field", sorted(set(RULES) - {"body", "projectId"}))
    def test_null_is_no_value_of_any_field_but_the_body(self, field: str) -> None:
        refusal(**{field: None})

    def test_a_whole_number_may_be_written_as_a_float(self) -> None:
        taken = settings_with(timeout=60.0).timeout
        assert (taken, type(taken)) == (60, int)

    @pytest.mark.parametrize(
        "field",
        ["id", "lastStatus", "lastActivityAt", "nextRunAt", "Name", "project_id", "timeOut", ""],
    )
    def test_an_unknown_or_read_only_field_is_refused_by_name(self, field: str) -> None:
        message = refusal(**{field: "x"})
        assert message.startswith(f"{field}: unknown field")
        assert "heartbeatTolerance" in message

    @pytest.mark.parametrize("value", [None, 5, "", "p" * 65, "p\x00"])
    def test_a_project_id_is_a_text(self, value: Any) -> None:
        with pytest.raises(InvalidField, match=r"^projectId: "):
            check_new(REQUIRED | {"projectId": value})

    def test_a_job_never_leaves_its_project(self) -> None:
        with pytest.raises(InvalidField, match=r"^projectId: can't be changed$"):
            check_changes({"projectId": "p2"})


class TestApplying:
    def test_headers_and_pause_are_kept_apart_from_the_settings(self) -> None:
        sent = check_new(REQUIRED | {"headers": {"X-Key": "s3cret"}, "paused": True})
        assert sent.headers == {"X-Key": "s3cret"}
        assert sent.paused is True
        assert "s3cret" not in repr(first_settings(sent, MARKED))
        assert first_settings(sent, MARKED).headers == MARKED

    def test_an_explicit_null_clears_the_body_and_an_absent_one_stays(self) -> None:
        before = settings_with(body="text")
        cleared = check_changes({"body": None}).applied_to(before, NO_HEADERS)
        kept = check_changes({"timeout": 5}).applied_to(before, NO_HEADERS)
        assert (cleared.body, kept.body) == (None, "text")

    def test_a_new_zone_is_proven_with_the_schedule_that_was_there(self) -> None:
        with pytest.raises(InvalidField, match=r"^timezone: "):
            check_changes({"timezone": "Nowhere"}).applied_to(SETTINGS, NO_HEADERS)

    def test_nothing_of_the_blank_settings_is_valid_by_itself(self) -> None:
        with pytest.raises(InvalidField, match=r"^schedule: "):
            CheckedFields(values={}).applied_to(BLANK, NO_HEADERS)

    @given(st.data())
    def test_whatever_json_is_sent_is_taken_or_refused(self, data: st.DataObject) -> None:
        words = st.sampled_from(["GET", "@daily", "UTC", "passive", "http://a", "\\ud800", "NaN"])
        value = data.draw(
            st.recursive(
                words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=4,
            )
        )
        field = data.draw(st.sampled_from(sorted(RULES)) | st.text(max_size=5))
        sent = REQUIRED | {field: json.loads(json.dumps(value))}
        try:
            taken = first_settings(check_new(sent), NO_HEADERS)
        except InvalidField as refused:
            refused.message.encode()
        else:
            assert taken.name == sent["name"]

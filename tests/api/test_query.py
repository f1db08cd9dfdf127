"""Query parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rest.query import cursor, limit_of, place_of, read_query, time_of
from domain.errors import InvalidField
from tests.api.asking import Api

SHAPE = "([0-9]{1,18})"


class TestKnownOnes:
    def test_parameters_are_decoded(self) -> None:
        query = read_query(b"a=1+2&b=%C3%A9&c=", ("a", "b", "c"))
        assert query == {"a": "1 2", "b": "é", "c": ""}

    def test_no_query_has_no_parameters(self) -> None:
        assert read_query(b"", ("a",)) == {}

    def test_an_unknown_one_is_named_with_those_that_are_allowed(self) -> None:
        with pytest.raises(
            InvalidField, match=r"^lmit: unknown query parameter; allowed are a, b$"
        ):
            read_query(b"a=1&lmit=5", ("a", "b"))

    def test_where_none_are_allowed_that_is_said(self) -> None:
        with pytest.raises(InvalidField, match="none are allowed here"):
            read_query(b"a=1", ())

    def test_one_that_stands_there_twice_is_refused(self) -> None:
        with pytest.raises(InvalidField, match=r"^a: stands there twice$"):
            read_query(b"a=1&a=1", ("a",))

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/projects"),
            ("POST", "/projects"),
            ("GET", "/projects/{project}"),
            ("PUT", "/projects/{project}"),
            ("DELETE", "/projects/{project}"),
            ("GET", "/jobs"),
            ("POST", "/jobs"),
            ("GET", "/jobs/{job}"),
            ("PUT", "/jobs/{job}"),
            ("DELETE", "/jobs/{job}"),
            ("GET", "/jobs/{job}/executions"),
            ("POST", "/jobs/{job}/run"),
        ],
    )
    async def test_every_operation_refuses_what_it_does_not_know_and_does_nothing(
        self, api: Api, method: str, path: str
    ) -> None:
        project_id = await api.me.a_project()
        job_id = await api.me.a_job(project_id)
        recorded = len(api.shape.events())
        url = f"{path.format(project=project_id, job=job_id)}?dry_run=true"
        answer = await api.me(method, url, json={})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("dry_run: unknown query parameter; ")
        assert len(api.shape.events()) == recorded


class TestLimit:
    def test_without_one_there_is_none(self) -> None:
        assert limit_of({}) is None

    @pytest.mark.parametrize("given", ["1", "999", "1000", "0007"])
    def test_whole_numbers_from_1_to_1000(self, given: str) -> None:
        assert limit_of({"limit": given}) == int(given)

    @pytest.mark.parametrize(
        "given", ["", "0", "1001", "-1", "+5", "5.0", "1e2", "\u0665", " 5", "x"]
    )
    def test_nothing_else(self, given: str) -> None:
        with pytest.raises(InvalidField, match=r"^limit: must be a whole number from 1 to 1,000$"):
            limit_of({"limit": given})


class TestTime:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("2024-01-30T12:00:00Z", datetime(2024, 1, 30, 12, tzinfo=UTC)),
            ("2024-01-30t12:00:00z", datetime(2024, 1, 30, 12, tzinfo=UTC)),
            ("2024-01-30 12:00:00Z", datetime(2024, 1, 30, 12, tzinfo=UTC)),
            ("2024-01-30T12:00:00.5Z", datetime(2024, 1, 30, 12, 0, 0, 500_000, tzinfo=UTC)),
            ("2024-01-30T12:00:00.1234569Z", datetime(2024, 1, 30, 12, 0, 0, 123_456, tzinfo=UTC)),
            ("2024-01-30T12:00:00+05:30", datetime(2024, 1, 30, 6, 30, tzinfo=UTC)),
            ("2024-01-30T12:00:00 05:30", datetime(2024, 1, 30, 6, 30, tzinfo=UTC)),
            ("2024-01-30T12:00:00-00:30", datetime(2024, 1, 30, 12, 30, tzinfo=UTC)),
        ],
    )
    def test_times_as_in_rfc_3339(self, given: str, meant: datetime) -> None:
        read = time_of({"since": given}, "since")
        assert read == meant
        assert read is not None
        assert read.tzinfo is UTC

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "now",
            "1706616000",
            "2024-01-30",
            "2024-01-30T12:00:00",
            "2024-01-30T12:00Z",
            "20240130T120000Z",
            "2024-W05-2T12:00:00Z",
            "2024-01-30T12:00:00,5Z",
            "2024-01-30T12:00:00.Z",
            "2024-01-30T12:00:005Z",
            "2024-02-30T12:00:00Z",
            "2024-01-30T24:00:01Z",
            "2024-01-30T12:60:00Z",
            "2024-01-30T12:00:00+24:00",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "\u0662\u0660\u0662\u0664-01-30T12:00:00Z",
            "2024-01-30T12:00:00Z ",
        ],
    )
    def test_nothing_else(self, given: str) -> None:
        with pytest.raises(InvalidField, match=r"^until: must be a time as in RFC 3339, such as "):
            time_of({"until": given}, "until")

    @given(
        st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001  (made aware below)
        st.integers(-14 * 60, 14 * 60),
    )
    def test_what_any_client_writes_is_read_as_it_was_meant(
        self, naive: datetime, offset: int
    ) -> None:
        moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
        assert time_of({"since": moment.isoformat()}, "since") == moment


class TestCursors:
    def test_a_place_comes_back(self) -> None:
        assert place_of({"after": cursor("jobs", 42)}, "jobs", SHAPE) == ("42",)
        assert place_of({"after": cursor("jobs", 7, "abc")}, "jobs", "([0-9]+) ([a-z]+)") == (
            "7",
            "abc",
        )

    def test_without_one_the_list_begins_at_its_beginning(self) -> None:
        assert place_of({}, "jobs", SHAPE) is None

    def test_a_cursor_fits_in_a_url_as_it_is(self) -> None:
        for number in range(100):
            assert cursor("jobs", 10**17 + number).isascii()
            assert not set(cursor("jobs", 10**17 + number)) & set("+/=&?% ")

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "1",
            "42",
            "not a cursor",
            "é",
            "a" * 201,
            cursor("projects", 42),
            cursor("jobs", "x"),
            cursor("jobs", -1),
            cursor("jobs", 10**18),
            cursor("jobs", 1, 2),
        ],
    )
    def test_anything_else_is_refused(self, given: str) -> None:
        with pytest.raises(InvalidField, match=r"^after: must be a cursor from the Link header"):
            place_of({"after": given}, "jobs", SHAPE)

    @given(st.text(max_size=30))
    def test_whatever_is_sent_is_a_place_or_refused(self, given: str) -> None:
        try:
            place = place_of({"after": given}, "jobs", SHAPE)
        except InvalidField:
            return
        assert place is not None
        assert place[0].isdigit()

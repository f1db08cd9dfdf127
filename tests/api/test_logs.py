import io
import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.logs import access_logger, configure_logging, log_access, masked_path

KEY = "cpk_" + "Zk9_-" * 8
JOB = "cjob7k2m9x4q8w1e5r3t6y0u"
LOGGERS = ["uvicorn", "uvicorn.error", "uvicorn.access", "dramatiq", "httpx", "httpcore"]
LOGGERS += ["aiohttp", "alembic", "sqlalchemy"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loggers = [logging.getLogger(name) for name in LOGGERS]
    kept = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, (own, propagate, logger_level) in zip(loggers, kept, strict=True):
        logger.handlers[:] = own
        logger.propagate = propagate
        logger.setLevel(logger_level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def text() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("text", "info", stream=stream)
    return stream


@pytest.fixture
def lines_of_json() -> Callable[[], list[dict[str, Any]]]:
    stream = io.StringIO()
    configure_logging("json", "info", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture(params=["text", "json"])
def either(request: pytest.FixtureRequest) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(request.param, "info", stream=stream)
    return stream


def record(message: str, *args: object, **extra: object) -> None:
    """Log at 2023-11-14T22:13:20.123Z, whatever time it is."""
    made = logging.LogRecord("scheduler.tick", logging.WARNING, "", 1, message, args, None)
    made.created = 1_700_000_000.1234
    made.__dict__.update(extra)
    logging.getLogger("scheduler.tick").handle(made)


def fail_with(message: str) -> None:
    raise ValueError(message)


class TestText:
    def test_a_line_is_time_level_logger_message_and_extras(self, text: io.StringIO) -> None:
        record("%d ticks", 3, late=1.5, outcome="due")
        assert text.getvalue() == (
            "2023-11-14T22:13:20.123Z warning scheduler.tick: 3 ticks late=1.5 outcome=due\n"
        )

    def test_times_are_in_utc_wherever_the_machine_is(
        self, text: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        try:
            record("x")
        finally:
            monkeypatch.undo()
            time.tzset()
        assert text.getvalue().startswith("2023-11-14T22:13:20.123Z ")

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("a b", '"a b"'),
            ("", '""'),
            ('a"b', '"a\\"b"'),
            ("a=b", '"a=b"'),
            ("a\nb", '"a\\nb"'),
            ("é", "é"),
            ("a\x1b[2J", "a\\x1b[2J"),
            ("a\u2028b", '"a\\u2028b"'),
            ("a\udcff", "a\\udcff"),
            (None, "None"),
        ],
    )
    def test_an_extra_s_value_can_be_told_from_what_follows(
        self, text: io.StringIO, value: object, shown: str
    ) -> None:
        record("x", field=value, after=1)
        assert text.getvalue().endswith(f": x field={shown} after=1\n")

    def test_a_message_can_neither_forge_a_line_nor_steer_a_terminal(
        self, text: io.StringIO
    ) -> None:
        record("%s", "a\n2023 error forged\r\x1b[2J\u2028\x85é")
        (line,) = text.getvalue().splitlines()
        assert line.endswith("a\\n2023 error forged\\r\\x1b[2J\\u2028\\x85é")

    def test_a_traceback_follows_indented_so_that_it_can_not_forge_a_line_either(
        self, text: io.StringIO
    ) -> None:
        try:
            fail_with("first\n2023-11-14T22:13:20.123Z error forged\x1b[2J")
        except ValueError:
            logging.getLogger("x").exception("it failed", stack_info=True)
        first, *rest = text.getvalue().splitlines()
        assert first.endswith("error   x: it failed")
        assert all(line.startswith("    ") for line in rest)
        assert "    ValueError: first" in rest
        assert "    2023-11-14T22:13:20.123Z error forged\\x1b[2J" in rest
        assert "    Stack (most recent call last):" in rest


class TestJson:
    def test_a_line_is_an_object_with_time_level_logger_message_and_extras(
        self, lines_of_json: Callable[[], list[dict[str, Any]]]
    ) -> None:
        record("%d\nticks", 3, late=1.5, outcome="due")
        (line,) = lines_of_json()
        assert line == {
            "time": "2023-11-14T22:13:20.123Z",
            "level": "warning",
            "logger": "scheduler.tick",
            "message": "3\nticks",
            "late": 1.5,
            "outcome": "due",
        }

    def test_a_traceback_is_part_of_the_object(
        self, lines_of_json: Callable[[], list[dict[str, Any]]]
    ) -> None:
        try:
            fail_with("why")
        except ValueError:
            logging.getLogger("x").exception("it failed", stack_info=True)
        (line,) = lines_of_json()
        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert line["exception"].endswith("\nValueError: why")
        assert line["stack"].startswith("Stack (most recent call last):\n")

    def test_a_value_that_json_has_no_form_for_is_told_in_words(
        self, lines_of_json: Callable[[], list[dict[str, Any]]]
    ) -> None:
        record("x", path=re.compile("a"), broken="\udcff")
        (line,) = lines_of_json()
        assert line["path"] == "re.compile('a')"
        assert line["broken"] == "\udcff"


class TestSecrets:
    def test_an_api_key_is_masked_wherever_it_stands(self, either: io.StringIO) -> None:
        logger = logging.getLogger("x")
        logger.warning(f"message {KEY}, more")
        logger.warning("argument %s", KEY)
        logger.warning("mapping %(key)s", {"key": KEY})
        logger.warning("object %r", {"headers": [("x-api-key", KEY)]})
        logger.warning("bytes %r", KEY.encode())
        logger.warning("extra", extra={"header": KEY, "list": [KEY], "url": f"/?key={KEY}&a=1"})
        logger.warning("after a line's end %s", f"\n{KEY}\n")
        try:
            fail_with(f"exception {KEY}")
        except ValueError:
            logger.exception("it failed")
        assert KEY not in either.getvalue()
        assert KEY[4:] not in either.getvalue()
        assert either.getvalue().count("cpk_********") == 10
        assert "message cpk_********, more" in either.getvalue()
        assert "ValueError: exception cpk_********" in either.getvalue()
        assert "key=cpk_********&a=1" in either.getvalue()

    def test_a_part_of_a_key_is_masked_too(self, either: io.StringIO) -> None:
        record("cpk_Zk9")
        assert "Zk9" not in either.getvalue()

    def test_the_record_itself_is_left_as_it_is_for_other_handlers(
        self, either: io.StringIO, caplog: pytest.LogCaptureFixture
    ) -> None:
        record("%s", "cpk_seen")
        assert caplog.records[0].args == ("cpk_seen",)
        assert "cpk_********" in either.getvalue()

    def test_a_line_that_can_not_be_made_is_told_without_its_arguments(
        self, either: io.StringIO, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = logging.getLogger()
        ours = [each for each in root.handlers if type(each).__module__ == "api.logs"]
        root.handlers[:] = ours  # pytest's own would raise
        logging.getLogger("x").warning("%d", KEY)
        assert either.getvalue() == "a line of the logger x was lost to TypeError\n"
        assert capsys.readouterr() == ("", "")

    def test_a_stream_that_is_gone_stops_nothing(self) -> None:
        stream = io.StringIO()
        configure_logging("text", "info", stream=stream)
        stream.close()
        record("x")


class TestOtherLoggers:
    @pytest.mark.parametrize(
        "name",
        [
            "uvicorn",
            "uvicorn.error",
            "dramatiq.worker.Worker",
            "httpx",
            "aiohttp.client",
            "alembic.runtime.migration",
        ],
    )
    def test_those_of_libraries_go_through_once_and_only_here(self, name: str) -> None:
        elsewhere = io.StringIO()
        library = logging.getLogger(name.partition(".")[0])
        library.addHandler(logging.StreamHandler(elsewhere))
        library.propagate = False
        stream = io.StringIO()
        configure_logging("text", "info", stream=stream)
        logging.getLogger(name).warning("from a library")
        assert stream.getvalue().count("from a library") == 1
        assert elsewhere.getvalue() == ""

    def test_a_level_that_a_library_was_given_before_does_not_stay(self) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        stream = io.StringIO()
        configure_logging("text", "info", stream=stream)
        logging.getLogger("uvicorn.error").info("started")
        assert "uvicorn.error: started" in stream.getvalue()

    @pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "sqlalchemy.engine", "alembic.x"])
    def test_those_that_say_too_much_are_heard_from_warnings_on(self, name: str) -> None:
        stream = io.StringIO()
        configure_logging("text", "debug", stream=stream)
        logging.getLogger(name).info("GET https://example.com/?token=x")
        assert stream.getvalue() == ""
        logging.getLogger(name).warning("trouble")
        assert "trouble" in stream.getvalue()

    def test_they_are_no_louder_than_the_level_asked_for(self) -> None:
        stream = io.StringIO()
        configure_logging("text", "error", stream=stream)
        logging.getLogger("httpx").warning("trouble")
        assert stream.getvalue() == ""

    def test_uvicorn_s_access_lines_are_off(self, capsys: pytest.CaptureFixture[str]) -> None:
        logger = logging.getLogger("uvicorn.access")
        logger.addHandler(logging.StreamHandler())
        stream = io.StringIO()
        configure_logging("text", "info", stream=stream)
        logger.info(f"GET /api/ping/{JOB}?rid=1")
        assert stream.getvalue() == ""
        assert capsys.readouterr() == ("", "")
        assert not logger.hasHandlers()

    def test_uvicorn_s_coloured_double_of_a_message_is_left_out(self, either: io.StringIO) -> None:
        logging.getLogger("uvicorn.error").info("up", extra={"color_message": "\x1b[1mup"})
        assert "color" not in either.getvalue()

    def test_warnings_are_lines_too(self, text: io.StringIO) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            configure_logging("text", "info", stream=text)
            warnings.warn("old ways", stacklevel=1)
            logging.captureWarnings(capture=False)
        (line,) = text.getvalue().splitlines()
        assert "warning py.warnings: " in line
        assert "UserWarning: old ways" in line


class TestConfiguring:
    @pytest.mark.parametrize(
        ("level", "heard"),
        [
            ("debug", ["debug", "info", "warning", "error"]),
            ("info", ["info", "warning", "error"]),
            ("warning", ["warning", "error"]),
            ("error", ["error"]),
        ],
    )
    def test_the_level_decides_what_is_heard(self, level: Any, heard: list[str]) -> None:
        stream = io.StringIO()
        configure_logging("json", level, stream=stream)
        logger = logging.getLogger("x")
        logger.debug("1")
        logger.info("2")
        logger.warning("3")
        logger.error("4")
        assert [json.loads(each)["level"] for each in stream.getvalue().splitlines()] == heard

    def test_the_last_call_counts_and_lines_are_not_doubled(self, text: io.StringIO) -> None:
        stream = io.StringIO()
        configure_logging("json", "info", stream=stream)
        record("x")
        assert text.getvalue() == ""
        assert len(stream.getvalue().splitlines()) == 1

    def test_handlers_of_others_stay(self) -> None:
        other = logging.NullHandler()
        logging.getLogger().addHandler(other)
        configure_logging("text", "info", stream=io.StringIO())
        assert other in logging.getLogger().handlers

    def test_lines_go_to_standard_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging("text", "info")
        record("x")
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith("scheduler.tick: x\n")


class TestAccess:
    def test_a_request_is_one_line(self, lines_of_json: Callable[[], list[dict[str, Any]]]) -> None:
        log_access(
            method="GET",
            path=f"/api/ping/{JOB}/start?rid=1",
            status=200,
            milliseconds=1.23456,
            request_id="r1",
        )
        (line,) = lines_of_json()
        assert line.pop("time").endswith("Z")
        assert line == {
            "level": "info",
            "logger": "cronpulse.access",
            "message": "request",
            "method": "GET",
            "path": "/api/ping/cjob7k***/start",
            "status": 200,
            "ms": 1.23,
            "request_id": "r1",
        }

    def test_it_is_written_by_the_access_logger_at_info(self) -> None:
        stream = io.StringIO()
        configure_logging("text", "warning", stream=stream)
        log_access(method="GET", path="/", status=200, milliseconds=1, request_id="r")
        assert stream.getvalue() == ""
        access_logger.warning("x")
        assert "cronpulse.access: x" in stream.getvalue()

    @pytest.mark.parametrize(
        ("path", "masked"),
        [
            (f"/api/ping/{JOB}", "/api/ping/cjob7k***"),
            (f"/api/ping/{JOB}/fail", "/api/ping/cjob7k***/fail"),
            (f"/api/run/{JOB}", "/api/run/cjob7k***"),
            (f"/api/complete/{JOB}", "/api/complete/cjob7k***"),
            (f"/api/ping/{JOB}?errorMessage=x", "/api/ping/cjob7k***"),
            (f"/api/ping/{JOB.upper()}", "/api/ping/CJOB7K***"),
            (f"/api/ping/{JOB}.", "/api/ping/***"),
            ("/api/ping/short", "/api/ping/***"),
            ("/api/ping/short/start", "/api/ping/***/start"),
            ("/api/run/a b", "/api/run/***"),
            ("/api/complete/" + "é" * 30, "/api/complete/***"),
            (f"/api/pings/{JOB}/start", "/api/pings/cjob7k***/start"),
            (f"//ping//{JOB}", "//ping//cjob7k***"),
            (f"/api/v1/jobs/{JOB}/executions", "/api/v1/jobs/cjob7k***/executions"),
            (f"/x-{JOB}-y", "/x-cjob7k***-y"),
            ("/api/v1/projects", "/api/v1/projects"),
            ("/api/ping/", "/api/ping/"),
            ("/", "/"),
            ("", ""),
            ("/?key=value", "/"),
        ],
    )
    def test_a_path_shows_no_query_and_no_whole_id(self, path: str, masked: str) -> None:
        assert masked_path(path) == masked

    def test_a_path_without_end_is_cut(self) -> None:
        assert masked_path("/ab" * 1000) == ("/ab" * 67)[:200] + "..."
        assert masked_path("/ab/" * 50) == "/ab/" * 50

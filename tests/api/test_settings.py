import os
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from api.key_format import new_key
from api.settings import InvalidSettings, Settings, load_settings

GOOD_KEY = "cpk_" + "k" * 40
CANARY = "c4n4ry-that-must-not-be-seen-anywhere-at-all"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("CRONPULSE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refused(**overrides: object) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(**overrides)
    lines = str(caught.value).splitlines()
    assert list(caught.value.lines) == lines
    return lines


class TestDefaults:
    def test_everything_has_a_default(self) -> None:
        settings = load_settings()
        assert settings.data_dir == Path("data")
        assert settings.database_url == "sqlite:///data/cronpulse.db"
        assert settings.sqlite_path == Path("data/cronpulse.db")
        assert settings.host == "127.0.0.1"
        assert settings.port == 8000
        assert settings.api_key is None
        assert settings.secret_key is None
        assert settings.allowed_networks == ()
        assert settings.public_url is None
        assert settings.log_format == "text"
        assert settings.log_level == "info"
        assert settings.checks_concurrency == 500
        assert settings.checks_per_host == 100
        assert settings.executions_kept_days is None

    def test_the_database_lies_in_the_data_directory_unless_it_is_set(self) -> None:
        settings = load_settings(data_dir="/var/lib/cron pulse?")
        assert settings.database_url == "sqlite:////var/lib/cron pulse?/cronpulse.db"
        assert settings.sqlite_path == Path("/var/lib/cron pulse?/cronpulse.db")
        settings = load_settings(data_dir="/var/lib/pulse", database_url="sqlite:///other.db")
        assert settings.sqlite_path == Path("other.db")

    def test_settings_can_not_be_changed(self) -> None:
        settings = load_settings()
        with pytest.raises(ValidationError):
            settings.port = 1

    def test_no_setting_is_called_by_a_name_that_has_not_been_documented(self) -> None:
        rows = documented()
        assert list(rows) == [f"CRONPULSE_{name.upper()}" for name in Settings.model_fields]

    def test_the_documentation_has_every_default(self) -> None:
        rows = documented()
        defaults = load_settings()
        assert rows.pop("CRONPULSE_DATA_DIR") == "`./data`"
        assert rows.pop("CRONPULSE_DATABASE_URL") == "`sqlite:///<DATA_DIR>/cronpulse.db`"
        for variable, said in rows.items():
            value = getattr(defaults, variable.removeprefix("CRONPULSE_").lower())
            assert said == ("none" if value in {None, ()} else f"`{value}`"), variable


def documented() -> dict[str, str]:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    row = re.compile(r"^\| `(CRONPULSE_\w+)` \| (\S+) \| \S.* \|$", re.MULTILINE)
    of_defaults = page.read_text(encoding="utf-8").partition("\n## ")[0]
    return dict(row.findall(of_defaults))


class TestSources:
    def test_the_environment_gives_every_setting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "DATA_DIR": "/srv/pulse",
            "DATABASE_URL": "sqlite:////srv/db/log.db",
            "HOST": "::1",
            "PORT": "9000",
            "API_KEY": GOOD_KEY,
            "SECRET_KEY": "s" * 32,
            "ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8",
            "PUBLIC_URL": "https://cron.example.com/",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            "CHECKS_CONCURRENCY": "7",
            "CHECKS_PER_HOST": "3",
            "EXECUTIONS_KEPT_DAYS": "90",
        }.items():
            monkeypatch.setenv(f"CRONPULSE_{name}", value)
        assert load_settings() == Settings(
            data_dir=Path("/srv/pulse"),
            database_url="sqlite:////srv/db/log.db",
            host="::1",
            port=9000,
            api_key=SecretStr(GOOD_KEY),
            secret_key=SecretStr("s" * 32),
            allowed_networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
            public_url="https://cron.example.com",
            log_format="json",
            log_level="debug",
            checks_concurrency=7,
            checks_per_host=3,
            executions_kept_days=90,
        )

    def test_a_dotenv_file_in_the_working_directory_gives_settings(self) -> None:
        Path(".env").write_text(
            "# ours\nexport CRONPULSE_PORT=9001 # a comment\nCRONPULSE_HOST='0.0.0.0'\nOTHER=x\n"
        )
        settings = load_settings()
        assert (settings.port, settings.host) == (9001, "0.0.0.0")

    def test_a_flag_beats_the_environment_and_that_beats_the_dotenv_file(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path(".env").write_text("CRONPULSE_PORT=1\nCRONPULSE_HOST=::1\nCRONPULSE_LOG_LEVEL=error\n")
        monkeypatch.setenv("CRONPULSE_PORT", "2")
        monkeypatch.setenv("CRONPULSE_HOST", "::2")
        settings = load_settings(port=0)
        assert (settings.port, settings.host, settings.log_level) == (0, "::2", "error")

    def test_a_good_flag_makes_up_for_a_wrong_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSE_PORT", "abc")
        assert load_settings(port=8001).port == 8001

    def test_a_flag_that_is_none_is_not_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRONPULSE_PORT", "2")
        assert load_settings(port=None, api_key=None).port == 2

    def test_a_flag_that_is_no_setting_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(TypeError, match="prot"):
            load_settings(prot=1)

    def test_an_empty_variable_is_not_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRONPULSE_API_KEY", "")
        Path(".env").write_text("CRONPULSE_PORT=\nCRONPULSE_API_KEY=\n")
        settings = load_settings()
        assert settings.api_key is None
        assert settings.port == 8000

    def test_an_empty_variable_leaves_what_the_dotenv_file_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSE_PORT", "")
        Path(".env").write_text("CRONPULSE_PORT=9\n")
        assert load_settings().port == 9


class TestTheDotenvFile:
    @pytest.mark.parametrize(
        "line", ["CRONPULSE_PORT 8000", "CRONPULSE_PORT", f"CRONPULSE_SECRET_KEY='{CANARY}"]
    )
    def test_a_line_that_can_not_be_read_stops_the_start(self, line: str) -> None:
        Path(".env").write_text(f"A=1\n\n# more\n\n{line}\nB=2\n")
        assert refused() == [".env: line 5: must be NAME=value"]

    def test_every_such_line_is_told(self) -> None:
        Path(".env").write_text("one two\nA=1\nthree four\n")
        assert refused() == [
            ".env: line 1: must be NAME=value",
            ".env: line 3: must be NAME=value",
        ]

    def test_one_that_is_not_utf8_is_refused(self) -> None:
        Path(".env").write_bytes(b"CRONPULSE_HOST=\xff\n")
        assert refused() == [".env: can't be read: it is not UTF-8"]

    def test_one_that_may_not_be_read_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", no)
        assert refused() == [".env: can't be read: Permission denied"]

    def test_a_directory_of_that_name_is_none(self) -> None:
        Path(".env").mkdir()
        assert load_settings().port == 8000

    def test_a_byte_order_mark_is_no_part_of_the_first_name(self) -> None:
        Path(".env").write_text("\ufeffCRONPULSE_PORT=9\n", encoding="utf-8")
        assert load_settings().port == 9


class TestUnknownVariables:
    @pytest.mark.parametrize(
        ("variable", "nearest"),
        [
            ("CRONPULSE_PROT", "CRONPULSE_PORT"),
            ("CRONPULSE_SECRETKEY", "CRONPULSE_SECRET_KEY"),
            ("CRONPULSE_DATABASE_ULR", "CRONPULSE_DATABASE_URL"),
            ("CRONPULSE_ALLOWED_NETWORK", "CRONPULSE_ALLOWED_NETWORKS"),
        ],
    )
    def test_a_misspelt_one_is_refused_with_the_nearest(
        self, variable: str, nearest: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, CANARY)
        assert refused() == [f"{variable}: is not a setting of CronPulse; the nearest is {nearest}"]

    def test_one_that_is_like_none_is_refused_with_where_to_look(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSE_XYZZYXYZZY", "1")
        assert refused() == [
            "CRONPULSE_XYZZYXYZZY: is not a setting of CronPulse; docs/settings.md lists them all"
        ]

    def test_one_in_the_dotenv_file_is_refused_too(self) -> None:
        Path(".env").write_text("CRONPULSE_HOSTS=x\n")
        (line,) = refused()
        assert line.startswith("CRONPULSE_HOSTS: is not a setting")

    def test_those_of_other_programs_are_not_ours_to_judge(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSEX", "1")
        monkeypatch.setenv("PORT", "1")
        Path(".env").write_text("HOST=x\nPOSTGRES_PASSWORD=y\n")
        assert load_settings() == Settings()

    def test_those_of_a_kubernetes_service_of_our_name_are_passed_over(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "CRONPULSE_SERVICE_HOST": "10.1.2.3",
            "CRONPULSE_SERVICE_PORT": "8000",
            "CRONPULSE_SERVICE_PORT_HTTP": "8000",
            "CRONPULSE_PORT": "tcp://10.1.2.3:8000",
            "CRONPULSE_PORT_8000_TCP": "tcp://10.1.2.3:8000",
            "CRONPULSE_PORT_8000_TCP_PROTO": "tcp",
            "CRONPULSE_PORT_8000_TCP_PORT": "8000",
            "CRONPULSE_PORT_8000_TCP_ADDR": "10.1.2.3",
            "CRONPULSE_DB_SERVICE_HOST": "10.1.2.4",
            "CRONPULSE_DB_PORT": "udp://10.1.2.4:53",
            "CRONPULSE_DB_PORT_53_UDP_ADDR": "10.1.2.4",
        }.items():
            monkeypatch.setenv(name, value)
        assert load_settings() == Settings()
        assert load_settings().port == 8000

    @pytest.mark.parametrize("value", ["http://10.1.2.3:8000", "x tcp://10.1.2.3:80"])
    def test_a_port_that_kubernetes_did_not_write_is_still_wrong(
        self, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSE_PORT", value)
        (line,) = refused()
        assert line.startswith("CRONPULSE_PORT: must be a whole number")

    def test_a_service_link_is_told_by_its_whole_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CRONPULSE_SERVICE_HOSTS", "10.1.2.3")
        monkeypatch.setenv("CRONPULSE_DB_PORT", "5432")
        assert len(refused()) == 2


class TestNumbers:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("port", "0"),
            ("port", "65535"),
            ("port", " 80 "),
            ("port", 0),
            ("checks_concurrency", "1"),
            ("checks_concurrency", "10000"),
            ("checks_per_host", "1"),
            ("checks_per_host", "10000"),
            ("executions_kept_days", "1"),
            ("executions_kept_days", "36500"),
        ],
    )
    def test_a_whole_number_in_range_is_taken(self, name: str, value: object) -> None:
        assert getattr(load_settings(**{name: value}), name) == int(str(value))

    @pytest.mark.parametrize(
        "value",
        ["abc", "-1", "65536", "80.0", "8_0", "0x50", "1e3", "٨٠", " ", "99999999999", "+1"],
    )
    def test_a_port_that_is_none_is_refused(self, value: str) -> None:
        assert refused(port=value) == [
            f"CRONPULSE_PORT: must be a whole number from 0 to 65535, not {value!r}"
        ]

    def test_a_number_without_end_is_refused_like_any_other(self) -> None:
        assert refused(port="1" * 5000) == [
            "CRONPULSE_PORT: must be a whole number from 0 to 65535"
        ]

    @pytest.mark.parametrize("name", ["checks_concurrency", "checks_per_host"])
    @pytest.mark.parametrize("value", ["0", "10001", "many"])
    def test_a_limit_of_checks_that_is_none_is_refused(self, name: str, value: str) -> None:
        assert refused(**{name: value}) == [
            f"CRONPULSE_{name.upper()}: must be a whole number from 1 to 10000, not {value!r}"
        ]

    @pytest.mark.parametrize("value", ["0", "36501", "-1", "1.5", "30d", "ever"])
    def test_a_number_of_days_that_is_none_is_refused(self, value: str) -> None:
        assert refused(executions_kept_days=value) == [
            f"CRONPULSE_EXECUTIONS_KEPT_DAYS: must be a whole number from 1 to 36500, not {value!r}"
        ]


class TestWords:
    @pytest.mark.parametrize("value", ["text", "json", "JSON", " Text "])
    def test_a_log_format_is_taken_in_any_case(self, value: str) -> None:
        assert load_settings(log_format=value).log_format == value.strip().lower()

    @pytest.mark.parametrize("value", ["debug", "info", "warning", "error", "INFO"])
    def test_a_log_level_is_taken_in_any_case(self, value: str) -> None:
        assert load_settings(log_level=value).log_level == value.lower()

    def test_others_are_refused(self) -> None:
        assert refused(log_format="xml", log_level="loud") == [
            "CRONPULSE_LOG_FORMAT: must be text or json, not 'xml'",
            "CRONPULSE_LOG_LEVEL: must be debug, info, warning or error, not 'loud'",
        ]


class TestPlaces:
    def test_a_home_directory_is_written_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/ada")
        assert load_settings(data_dir="~/pulse").data_dir == Path("/home/ada/pulse")

    @pytest.mark.parametrize("value", ["~nobody-of-that-name/x", "a\nb", "a\udcffb", "a\x1b[2J"])
    def test_a_data_directory_that_can_not_be_is_refused(self, value: str) -> None:
        (line,) = refused(data_dir=value)
        assert line.startswith("CRONPULSE_DATA_DIR: must")

    def test_what_follows_from_a_wrong_setting_is_not_told_besides(self) -> None:
        assert len(refused(data_dir="a\nb")) == 1

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///x.db", "x.db"),
            ("sqlite:///./a/x.db", "a/x.db"),
            ("sqlite:////srv/x y.db", "/srv/x y.db"),
        ],
    )
    def test_a_sqlite_url_names_a_file(self, url: str, path: str) -> None:
        assert load_settings(database_url=url).sqlite_path == Path(path)

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://cron:{CANARY}@db/cron",
            f"postgresql://cron:{CANARY}@db:5433/cron?sslmode=verify-full",
            f"postgresql://cron:{CANARY}@[::1]/cron",
            "postgresql:///cron?host=/run/postgresql",
        ],
    )
    def test_a_postgresql_url_is_taken_and_shown_without_its_password(self, url: str) -> None:
        settings = load_settings(database_url=url)
        assert settings.database_url == url
        assert settings.sqlite_path is None
        assert CANARY not in settings.database_shown + repr(settings)
        assert settings.database_shown.endswith("/cron")

    def test_the_other_spelling_of_postgresql_means_the_same(self) -> None:
        assert load_settings(database_url="postgres://db/cron").database_url == (
            "postgresql://db/cron"
        )

    @pytest.mark.parametrize(
        "url",
        [
            f"redis://:{CANARY}@cache:6379/3",
            f"rediss://cron:{CANARY}@cache",
            f"unix://cron:{CANARY}@/run/valkey.sock?db=2",
        ],
    )
    def test_a_redis_url_is_taken_and_not_shown(self, url: str) -> None:
        settings = load_settings(redis_url=url)
        assert settings.redis_url == url
        assert CANARY not in repr(settings)

    @pytest.mark.parametrize(
        "url",
        [
            "cache:6379",
            f"http://:{CANARY}@cache",
            f"redis://:{CANARY}@",
            f"redis://:{CANARY}@cache:0",
            f"redis://:{CANARY}@cache:x",
            f"redis://:{CANARY}@cache/first",
        ],
    )
    def test_any_other_broker_is_refused_without_repeating_its_password(self, url: str) -> None:
        (line,) = refused(redis_url=url)
        assert line == (
            "CRONPULSE_REDIS_URL: must be redis://user:password@host:port/number,"
            " rediss:// for TLS, or unix:// and a path"
        )

    @pytest.mark.parametrize(
        "url",
        [
            f"mysql://cron:{CANARY}@db/cron",
            f"postgresql+psycopg://cron:{CANARY}@db/cron",
            f"postgresql://cron:{CANARY}@db",
            f"postgresql://cron:{CANARY}@db:0/cron",
            f"postgresql://cron:{CANARY}@db:x/cron",
            f"postgresql://cron:{CANARY}@db/cron#x",
            "sqlite://",
            "sqlite:///",
            "sqlite:///data/",
            "sqlite:///:memory:",
            "sqlite:///file:x.db",
            "sqlite:///x.db?mode=ro",
            "sqlite+aiosqlite:///x.db",
            "x.db",
        ],
    )
    def test_any_other_database_is_refused_without_repeating_its_password(self, url: str) -> None:
        (line,) = refused(database_url=url)
        assert line == (
            "CRONPULSE_DATABASE_URL:"
            " must be sqlite:/// and the path of a file, without options,"
            " or postgresql://user:password@host/database"
        )

    @pytest.mark.parametrize(
        "host", ["0.0.0.0", "::", "::1", "localhost", "cron.example.com", "192.0.2.1", "fe80::1%lo"]
    )
    def test_an_address_or_a_name_to_listen_on_is_taken(self, host: str) -> None:
        assert load_settings(host=host).host == host

    @pytest.mark.parametrize("host", ["localhost:80", "[::1]", "a b", "http://x", "x/", "-" * 64])
    def test_a_host_that_is_none_is_refused(self, host: str) -> None:
        (line,) = refused(host=host)
        assert line.startswith("CRONPULSE_HOST: must be an IP address to listen on")

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("https://cron.example.com", "https://cron.example.com"),
            ("http://cron.example.com:8080/", "http://cron.example.com:8080"),
            ("https://example.com/cron//", "https://example.com/cron"),
            ("HTTP://[::1]:80", "HTTP://[::1]:80"),
        ],
    )
    def test_a_public_url_is_kept_without_a_slash_at_its_end(self, url: str, kept: str) -> None:
        assert load_settings(public_url=url).public_url == kept

    @pytest.mark.parametrize(
        "url",
        [
            "cron.example.com",
            "//cron.example.com",
            "ftp://cron.example.com",
            "https://",
            "https:///x",
            "https://:80",
            f"https://ada:{CANARY}@cron.example.com",
            "https://cron.example.com?a=b",
            "https://cron.example.com/#a",
            "https://cron.example.com:0",
            "https://cron.example.com:65536",
            "https://cron.example.com:x",
            "https://cron.example.com/a b",
            "https://cron.example.com\\x",
            "https://[::1",
        ],
    )
    def test_a_public_url_that_is_none_is_refused(self, url: str) -> None:
        (line,) = refused(public_url=url)
        assert line == (
            "CRONPULSE_PUBLIC_URL: must be an absolute http or https URL"
            " without user, query and fragment"
        )


class TestNetworks:
    @pytest.mark.parametrize(
        ("given", "networks"),
        [
            ("10.0.0.0/8", ["10.0.0.0/8"]),
            ("10.0.0.0/8,fd00::/8", ["10.0.0.0/8", "fd00::/8"]),
            (" 10.0.0.0/8 , , 10.0.0.0/8,", ["10.0.0.0/8"]),
            ("127.0.0.1", ["127.0.0.1/32"]),
            ("::1", ["::1/128"]),
            (("10.0.0.0/8", "fd00::/8,::1"), ["10.0.0.0/8", "fd00::/8", "::1/128"]),
            ([ip_network("10.0.0.0/8")], ["10.0.0.0/8"]),
            (ip_network("10.0.0.0/8"), ["10.0.0.0/8"]),
            ((), []),
        ],
    )
    def test_they_stand_between_commas(self, given: object, networks: list[str]) -> None:
        settings = load_settings(allowed_networks=given)
        assert settings.allowed_networks == tuple(map(ip_network, networks))

    def test_an_address_inside_a_network_is_refused_with_the_network(self) -> None:
        (line,) = refused(allowed_networks="fd00::/8,10.1.2.3/8")
        assert line == (
            "CRONPULSE_ALLOWED_NETWORKS: must be networks such as 10.0.0.0/8 or fd00::/8, with"
            " commas between them, not '10.1.2.3/8'; the network around that address is 10.0.0.0/8"
        )

    @pytest.mark.parametrize(
        "given",
        [
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/0.255.255.255",
            "x",
            "a b",
            "/",
        ],
    )
    def test_what_is_no_network_is_refused(self, given: str) -> None:
        (line,) = refused(allowed_networks=given)
        assert line == (
            "CRONPULSE_ALLOWED_NETWORKS: must be networks such as 10.0.0.0/8 or fd00::/8, with"
            f" commas between them, not {given!r}"
        )


class TestSecrets:
    def test_they_are_taken_and_shown_to_nobody(self) -> None:
        generated = new_key(lambda count: b"\x07" * count)
        settings = load_settings(api_key=generated, secret_key=CANARY)
        assert settings.api_key is not None
        assert settings.api_key.get_secret_value() == generated
        assert settings.secret_key is not None
        assert settings.secret_key.get_secret_value() == CANARY
        for shown in (repr(settings), str(settings), settings.model_dump_json()):
            assert generated not in shown
            assert CANARY not in shown

    def test_space_around_them_is_no_part_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRONPULSE_API_KEY", f" {GOOD_KEY}\n")
        assert load_settings().api_key == SecretStr(GOOD_KEY)

    @pytest.mark.parametrize("key", [CANARY, "cpk_" + "a" * 31, "cpk_" + "a" * 201, "cpk_a b" * 9])
    def test_an_api_key_that_is_none_is_refused(self, key: str) -> None:
        (line,) = refused(api_key=key)
        assert line == (
            "CRONPULSE_API_KEY: must be cpk_ and 32 to 200 more characters of"
            " A-Z, a-z, 0-9, _ and -"
        )

    def test_a_mistyped_api_key_is_refused_as_such(self) -> None:
        key = new_key(lambda count: b"\x07" * count)
        (line,) = refused(api_key=key[:-1] + ("a" if key[-1] != "a" else "b"))
        assert "wrong checksum: it is mistyped" in line

    def test_a_short_secret_key_is_refused(self) -> None:
        assert refused(secret_key="s" * 31) == [
            "CRONPULSE_SECRET_KEY: must have at least 32 characters"
        ]
        assert load_settings(secret_key="s" * 32).secret_key == SecretStr("s" * 32)

    @pytest.mark.parametrize("name", list(Settings.model_fields))
    @pytest.mark.parametrize("secret", [f"{CANARY}\n?{CANARY}", "cpk_" + "Z" * 31, "cpk_ :short"])
    def test_no_setting_repeats_what_may_be_a_secret_in_the_wrong_place(
        self, name: str, secret: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"CRONPULSE_{name.upper()}", secret)
        for error in complaints():
            assert secret not in f"{error} {error!r}"
            assert CANARY not in f"{error} {error!r}"

    def test_an_error_leads_to_no_other_that_has_the_values(self) -> None:
        with pytest.raises(InvalidSettings) as caught:
            load_settings(secret_key=CANARY[:20])
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_pydantics_own_error_has_no_values_either(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Settings(secret_key=CANARY[:20])  # type: ignore[arg-type]
        assert CANARY[:20] not in str(caught.value)


def complaints() -> Iterator[BaseException]:
    """What loading raises, and all that led to it; nothing where nothing is wrong."""
    found: BaseException | None = None
    try:
        load_settings()
    except InvalidSettings as error:
        found = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def test_every_wrong_setting_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONPULSE_PORT", "abc")
    monkeypatch.setenv("CRONPULSE_LOG_LEVEL", "loud")
    monkeypatch.setenv("CRONPULSE_HOSTT", "x")
    names = [line.partition(":")[0] for line in refused(checks_per_host=0)]
    assert names == [
        "CRONPULSE_PORT",
        "CRONPULSE_LOG_LEVEL",
        "CRONPULSE_CHECKS_PER_HOST",
        "CRONPULSE_HOSTT",
    ]

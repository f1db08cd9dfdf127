"""The URL of Redis: what it may say, what is made of it, and that nobody hears of its password."""

from __future__ import annotations

import contextlib
import ssl
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from socket import SHUT_RDWR, create_connection, create_server, socket
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from scheduler.broker import BrokerUnavailable, CheckBroker
from scheduler.redis_broker import open_redis_broker
from scheduler.redis_connection import connect_to
from tests.scheduler.broker_contract import QUEUE, consume, receive, send
from tests.scheduler.loopback_servers import Authority
from tests.servers.valkey import ValkeyServer

SECRET = "hunter/2#?:@é"
WHAT_IT_NEEDS = (
    *("+evalsha", "+script|load", "+time", "+lpush", "+rpush"),
    *("+lpop", "+llen", "+lindex", "+del", "+select"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """Return a server that knows a user with a password, and listens on a socket as well."""
    with ValkeyServer(settings={"unixsocket": "valkey.sock"}) as server:
        with server.client() as client:
            client.execute_command(
                "ACL", "SETUSER", "worker", "on", f">{SECRET}", "~cronpulse:*", *WHAT_IT_NEEDS
            )
        yield server


def as_worker(server: ValkeyServer, password: str = SECRET, database: int = 0) -> str:
    return f"redis://worker:{quote(password, safe='')}@127.0.0.1:{server.port}/{database}"


def opened(url: str) -> CheckBroker:
    broker = open_redis_broker(url)
    broker.declare_queue(QUEUE)
    return broker


def works(url: str) -> bool:
    with contextlib.closing(opened(url)) as broker:
        send(broker, "a")
        consumer = consume(broker)
        receive(consumer)
        consumer.close()
        broker.flush(QUEUE)
        return broker.size(QUEUE) == 0 and broker.oldest(QUEUE) is None


def told_by(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


def test_a_user_needs_few_commands_and_only_our_keys(server: ValkeyServer) -> None:
    assert works(as_worker(server))


def test_the_database_of_the_url_is_used(server: ValkeyServer) -> None:
    with contextlib.closing(opened(server.url(3))) as broker, server.client() as client:
        send(broker, "a")
        assert "db3" in client.info("keyspace")
        broker.flush(QUEUE)


def test_a_socket_of_the_same_machine_will_do(server: ValkeyServer) -> None:
    assert works(f"unix://{server.directory}/valkey.sock?db=2")


def test_a_socket_that_is_not_there_makes_the_broker_unavailable(server: ValkeyServer) -> None:
    with (
        contextlib.closing(opened(f"unix://{server.directory}/nowhere.sock")) as broker,
        pytest.raises(BrokerUnavailable, match="can't be reached: No such file or directory"),
    ):
        send(broker, "a")


@contextlib.contextmanager
def behind_tls(settings: ssl.SSLContext, port: int) -> Iterator[int]:
    """Take TLS connections on the port that is given, and pass what is said on to ``port``."""

    def pass_on(here: socket, there: socket) -> None:
        with contextlib.suppress(OSError):
            while said := here.recv(65536):
                there.sendall(said)
        there.close()

    def serve() -> None:
        with contextlib.suppress(OSError):  # which is how a shut down one ends
            while True:
                plain, _ = listening.accept()
                with contextlib.suppress(ssl.SSLError):
                    secured = settings.wrap_socket(plain, server_side=True)
                    onward = create_connection(("127.0.0.1", port))
                    for pair in ((secured, onward), (onward, secured)):
                        threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(SHUT_RDWR)  # which ends the wait for the next connection


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.fixture
    def port(self, server: ValkeyServer, authority: Authority) -> Iterator[int]:
        with behind_tls(authority.server("127.0.0.1"), server.port) as port:
            yield port

    def test_with_the_authority_named_in_the_url(
        self, port: int, authority: Authority, tmp_path: Path
    ) -> None:
        (tmp_path / "ca.pem").write_bytes(authority._certificate.public_bytes(Encoding.PEM))
        assert works(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/ca.pem")

    def test_a_certificate_that_nobody_vouches_for_is_refused(self, port: int) -> None:
        with (
            contextlib.closing(opened(f"rediss://127.0.0.1:{port}")) as broker,
            pytest.raises(BrokerUnavailable, match="certificate verify failed"),
        ):
            send(broker, "a")


class TestSecrets:
    def test_a_wrong_password_is_told_of_and_not_told(
        self, server: ValkeyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        with contextlib.closing(opened(as_worker(server, password="wrong-one"))) as broker:
            with pytest.raises(BrokerUnavailable) as refused:
                send(broker, "a")
            consumer = broker.consume(QUEUE, timeout=60_000)
            assert next(consumer) is None
            consumer.close()
        assert str(refused.value) == "Redis refuses the user or the password"
        told = caplog.text + told_by(refused.value)
        assert "taking messages from cronpulse:checks does not work" in told
        assert "wrong-one" not in told
        assert "worker" not in told_by(refused.value)

    def test_a_user_who_may_not_do_what_is_needed_is_told_so(self, server: ValkeyServer) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+llen")
        url = f"redis://reader:pw@127.0.0.1:{server.port}"
        with (
            contextlib.closing(opened(url)) as broker,
            pytest.raises(BrokerUnavailable, match="lets this user not do what is needed"),
        ):
            send(broker, "a")

    def test_nothing_shows_the_password_when_it_is_printed(self, server: ValkeyServer) -> None:
        with contextlib.closing(opened(as_worker(server))) as broker:
            client = connect_to(as_worker(server), answer_within=1)
            printed = repr(broker) + str(broker) + repr(client) + repr(client.connection_pool)
        assert "hunter" not in printed

    @pytest.mark.parametrize(
        "url",
        [
            "hunter2",
            "http://:hunter2@host",
            "redis:hunter2",
            "redis://:12/hunter2@host/0",
            "redis://:x@host:hunter2",
            "redis://:hunter2@host/first",
            "redis://:hunter2@host/0/1",
            "redis://:hunter2@host..name/0",
            "redis://:hunter2@[::1",
            "redis://:hunter2@host/0?db=hunter2",
            "redis://:hunter2@host/0?hunter2=1",
            "rediss://:hunter2@host/0?ssl_cert_reqs=hunter2",
            "redis://:hunter2@host/0?max_connections=-1",
            "redis://host/0?ssl_ca_certs=/hunter2",
            "unix://:hunter2@",
        ],
    )
    def test_a_url_that_cannot_be_used_is_refused_at_once_without_repeating_it(
        self, url: str
    ) -> None:
        with pytest.raises(
            ValueError, match="the URL of Redis can't be used: it has the form"
        ) as e:
            open_redis_broker(url)
        assert "hunter2" not in told_by(e.value)


def test_what_keeps_threads_from_waiting_long_cannot_be_changed_by_the_url() -> None:
    changes = (
        "socket_timeout=600&socket_connect_timeout=600&retry_on_timeout=true&protocol=3"
        "&decode_responses=true&health_check_interval=1&encoding=latin-1"
    )
    client = connect_to(f"redis://127.0.0.1/0?{changes}", answer_within=1.5)
    pool = client.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    assert connection.socket_timeout == 1.5
    assert connection.socket_connect_timeout == 1.5
    assert connection.retry.get_retries() == 0
    assert (connection.protocol, connection.health_check_interval) == (2, 0)
    assert (connection.encoder.encoding, connection.encoder.decode_responses) == ("utf-8", False)


def test_closing_lets_go_of_the_connections(server: ValkeyServer) -> None:
    broker = opened(as_worker(server))
    send(broker, "a")
    broker.flush(QUEUE)
    with server.client() as client:
        assert "worker" in {each["user"] for each in client.client_list()}
        broker.close()
        while "worker" in {each["user"] for each in client.client_list()}:
            pass


def test_opening_does_not_connect() -> None:
    broker = open_redis_broker("redis://127.0.0.1:1/0")
    broker.declare_queue(QUEUE)
    broker.close()

"""Servers on loopback that speak bytes, so that a test can have them answer wrongly as well."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scheduler.network_guard import NetworkGuard

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass
class Server:
    """Where a server listens, and what it was sent: one entry a connection."""

    port: int
    tls: bool
    requests: list[bytes] = field(default_factory=list)
    names_asked_for: list[str | None] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(
    answer: bytes | Behaviour = OK, *, tls: ssl.SSLContext | None = None, listens: bool = True
) -> AsyncIterator[Server]:
    """Serve every connection: read one request, and then ``answer`` with bytes or by behaviour.

    A server that doesn't listen leaves even the request to the behaviour.
    """
    connections: dict[asyncio.Task[None], asyncio.WriteTransport] = {}
    behave = answering(answer) if isinstance(answer, bytes) else answer

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[cast("asyncio.Task[None]", asyncio.current_task())] = writer.transport
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if listens:
                server.requests.append(await read_request(reader))
            await behave(reader, writer)
        writer.transport.abort()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server = Server(listening.sockets[0].getsockname()[1], tls is not None)
    if tls is not None:
        tls.sni_callback = lambda _, name, __: server.names_asked_for.append(name)
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
        for transport in connections.values():
            transport.abort()
        await asyncio.gather(*connections)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a head, and as much of a body as it promises."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def answering(answer: bytes) -> Behaviour:
    """Send ``answer`` and hang up properly."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return behave


def dripping(first: bytes, drop: bytes, *, then: Callable[[], None], drops: int = 50) -> Behaviour:
    """Send ``first``, then ``drop`` after drop without an end; call ``then`` after some of them."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        sent = 0
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0)
            sent += 1
            if sent == drops:
                then()

    return behave


def endless(first: bytes, chunk: bytes) -> Behaviour:
    """Send ``first``, then ``chunk`` after chunk as fast as they are taken."""
    return dripping(first, chunk, then=lambda: None)


def silent(then: Callable[[], None], *, after: bytes = b"") -> Behaviour:
    """Send ``after`` and never a byte more; call ``then`` once that has had time to arrive."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        for _ in range(20):
            await asyncio.sleep(0)
        then()
        await reader.read()

    return behave


def refusing_tls(context: ssl.SSLContext) -> Behaviour:
    """Negotiate TLS up to its failure, and tell the client of it, which asyncio's servers don't."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        refused = False
        while not refused:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
            except ssl.SSLError:
                refused = True
        writer.write(outgoing.read())
        await reader.read()

    return behave


class LoopClock:
    """The running event loop's clock, which a test can move ahead to let deadlines pass."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self._ahead = 0.0
        loop.time = lambda: real() + self._ahead  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


def loopback_guard(*names: str, addresses: Sequence[str] = ("127.0.0.1",)) -> NetworkGuard:
    """Return a guard that allows loopback, and finds ``names`` (all, if none is given) there."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if names and host not in names:
            raise OSError(f"{host} is not known here")
        return addresses

    return NetworkGuard(LOOPBACK, resolve)


class Authority:
    """Issues certificates, and the TLS settings that go with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of tests")])
        self._certificate = self._signed(self._name, self._key, [], days=30, authority=True)

    def client(self) -> ssl.SSLContext:
        """Return the settings of a client that trusts this authority."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, *hosts: str, days: int = 30) -> ssl.SSLContext:
        """Return the settings of a server that is ``hosts``, for ``days`` from yesterday on."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A server of tests")])
        certificate = self._signed(name, key, hosts, days=days, authority=False)
        file = self._folder / f"{certificate.serial_number}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        hosts: Sequence[str],
        *,
        days: int,
        authority: bool,
    ) -> x509.Certificate:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(yesterday - timedelta(days=30))
            .not_valid_after(yesterday + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(_key_usage(authority=authority), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    """What RFC 5280 asks for, and Python insists on from 3.13 on."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)

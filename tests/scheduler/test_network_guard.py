from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.network_guard import Blocked, NetworkGuard, ResolutionFailed

DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba Cloud's metadata
    "100.127.255.255",
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "168.63.129.16",  # Azure's host agent
    "169.254.0.1",
    "169.254.169.254",  # metadata of AWS, Google Cloud, Azure and others
    "169.254.170.2",  # credentials of an AWS container
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",  # Oracle Cloud's metadata
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "0:0:0:0:0:0:0:1",
    "::7f00:1",  # IPv4-compatible
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:7f00:0001",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",  # NAT64
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",  # NAT64 of the local network
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:0:1::8.8.8.8",
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:7f00:1::",
    "2001:2::1",  # benchmarks
    "2001:10::1",  # ORCHID
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002::1",  # 6to4
    "2002:7f00:1::",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",  # segment routing
    "fc00::1",
    "fd00:ec2::254",  # metadata of AWS
    "fd20:ce::254",  # metadata of Google Cloud
    "fdff:ffff::1",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fe80::1%1",
    "fe80::1%eth0",
    "2606:4700:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
    "3ffe:ffff::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

DISGUISES = [
    "0",
    "1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "0127.0.0.1",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "2130706433",
    "2130706433.",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0x7f.0.0.0x1",
    "0x",
    "a.0x",
    "127.0.0.1.1",
    "127.0.0.256",
    "4294967295",
    "4294967297",
    "foo.1",
    "foo.0x7f",
    "127.0.0.1%00",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "loc%61lhost",
    "localhost%00.example.com",
    "::1%",
    "::1%25lo",
    "[::1]",
    "[127.0.0.1]",
    "0:0:0:0:0:0:0:0:1",
    ":::1",
    "\uff11\uff12\uff17.0.0.1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "localhost\0",
    "local host",
    "localhost/",
    "localhost:80",
    "user@localhost",
    "localhost\\",
    "localhost,example.com",
    "",
    ".",
    "..",
    "localhost..",
    ".localhost",
    "a..b",
    "a" * 64,
    ".".join(["a" * 63] * 4),
]

NAMES = [
    "example.com",
    "EXAMPLE.com",
    "example.com.",
    "intranet",
    "_acme.example.com",
    "xn--bcher-kva.example",
    "1.example.com",
    "0x7f.example.com",
    "127.0.0.1.nip.io",
    "a-b.example.c0m",
    "0xg",
    "a" * 63 + ".example",
]


class Resolver:
    """A name server that says what it is told to, one answer after the other."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, OSError):
            raise answer
        return answer


def guard(*answers: Sequence[str] | OSError, allowed: Sequence[str] = ()) -> NetworkGuard:
    return NetworkGuard([ip_network(network) for network in allowed], Resolver(*answers))


class TestAnAddressThatChecksMayNotReach:
    @pytest.mark.parametrize("address", DENIED)
    async def test_is_blocked_in_a_url(self, address: str) -> None:
        with pytest.raises(Blocked):
            await guard(["8.8.8.8"]).addresses_for(address, 80)

    @pytest.mark.parametrize("address", DENIED)
    async def test_is_blocked_behind_a_name(self, address: str) -> None:
        with pytest.raises(Blocked):
            await guard([address]).addresses_for("innocent.example", 80)

    @pytest.mark.parametrize("place", [0, 1, 2])
    async def test_blocks_the_whole_name_wherever_it_stands_among_good_ones(
        self, place: int
    ) -> None:
        answer = ["8.8.8.8", "2606:4700:4700::1111"]
        answer.insert(place, "10.0.0.1")
        with pytest.raises(Blocked):
            await guard(answer).addresses_for("mixed.example", 80)

    async def test_is_not_told_to_the_user(self) -> None:
        with pytest.raises(Blocked) as blocked:
            await guard(["10.11.12.13"]).addresses_for("inside.example", 80)
        assert "inside.example" in str(blocked.value)
        assert "10.11" not in str(blocked.value)

    @pytest.mark.parametrize("answer", ["", "inside.example", "10.0.0.1 ", "0x7f.1", "None"])
    async def test_is_what_a_resolver_says_that_does_not_make_sense(self, answer: str) -> None:
        with pytest.raises(Blocked):
            await guard([answer], allowed=["0.0.0.0/0", "::/0"]).addresses_for("odd.example", 80)

    @settings(deadline=None)
    @given(address=st.ip_addresses())
    @example(address=IPv4Address("192.0.0.171"))
    @example(address=IPv6Address("2001:30::1"))
    async def test_is_every_one_that_python_knows_to_be_special(
        self, address: IPv4Address | IPv6Address
    ) -> None:
        is_mapped = address.version == 6 and address.ipv4_mapped is not None
        if is_mapped or (address.is_global and not address.is_multicast):
            return
        with pytest.raises(Blocked):
            await guard().addresses_for(str(address), 80)


class TestAPublicAddress:
    @pytest.mark.parametrize("address", PUBLIC)
    async def test_is_let_through_as_it_is(self, address: str) -> None:
        assert await guard().addresses_for(address, 80) == (ip_address(address),)

    @pytest.mark.parametrize("address", PUBLIC)
    async def test_is_let_through_behind_a_name(self, address: str) -> None:
        assert await guard([address]).addresses_for("a.example", 80) == (ip_address(address),)


class TestAHostInDisguise:
    @pytest.mark.parametrize("host", DISGUISES)
    async def test_is_blocked_and_no_resolver_gets_to_see_it(self, host: str) -> None:
        resolver = Resolver(["8.8.8.8"])
        with pytest.raises(Blocked):
            await NetworkGuard((), resolver).addresses_for(host, 80)
        assert resolver.asked == []

    @pytest.mark.parametrize("host", DISGUISES)
    async def test_is_blocked_even_where_every_network_is_allowed(self, host: str) -> None:
        with pytest.raises(Blocked):
            await guard(["8.8.8.8"], allowed=["0.0.0.0/0", "::/0"]).addresses_for(host, 80)


class TestAHostName:
    @pytest.mark.parametrize("name", NAMES)
    async def test_is_looked_up_once_as_it_is(self, name: str) -> None:
        resolver = Resolver(["8.8.8.8"])
        found = await NetworkGuard((), resolver).addresses_for(name, 8080)
        assert found == (ip_address("8.8.8.8"),)
        assert resolver.asked == [(name, 8080)]

    async def test_gives_its_addresses_in_order_and_each_once(self) -> None:
        answer = ["2606:4700::1", "1.1.1.1", "8.8.8.8", "1.1.1.1", "2606:4700:0::1"]
        found = await guard(answer).addresses_for("many.example", 80)
        assert [str(address) for address in found] == ["2606:4700::1", "1.1.1.1", "8.8.8.8"]

    async def test_that_changes_its_mind_is_vetted_anew_each_time(self) -> None:
        rebinding = guard(["8.8.8.8"], ["127.0.0.1"])
        assert await rebinding.addresses_for("rebinding.example", 80) == (ip_address("8.8.8.8"),)
        with pytest.raises(Blocked):
            await rebinding.addresses_for("rebinding.example", 80)

    async def test_that_does_not_exist_fails_in_the_resolvers_words(self) -> None:
        unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        with pytest.raises(ResolutionFailed, match=r"nowhere\.example.*Name or service not known"):
            await guard(unknown).addresses_for("nowhere.example", 80)

    async def test_whose_lookup_breaks_off_without_words_fails_all_the_same(self) -> None:
        with pytest.raises(ResolutionFailed, match="the lookup failed"):
            await guard(TimeoutError()).addresses_for("slow.example", 80)

    async def test_without_an_address_fails(self) -> None:
        with pytest.raises(ResolutionFailed, match="no address"):
            await guard([]).addresses_for("empty.example", 80)


class TestAnAllowedNetwork:
    @pytest.mark.parametrize(
        ("network", "address"),
        [
            ("127.0.0.0/8", "127.0.0.1"),
            ("10.1.0.0/16", "10.1.2.3"),
            ("169.254.169.254/32", "169.254.169.254"),
            ("::1/128", "::1"),
            ("fd00::/8", "fd12::1"),
            ("10.1.0.0/16", "::ffff:10.1.2.3"),
            ("10.1.0.0/16", "64:ff9b::10.1.2.3"),
            ("64:ff9b:1::/48", "64:ff9b:1::1"),
        ],
    )
    async def test_may_be_reached(self, network: str, address: str) -> None:
        assert await guard(allowed=[network]).addresses_for(address, 80) == (ip_address(address),)
        found = await guard([address], allowed=[network]).addresses_for("inside.example", 80)
        assert found == (ip_address(address),)

    @pytest.mark.parametrize("address", ["10.2.0.1", "10.0.255.255", "127.0.0.1", "::1", "fd00::1"])
    async def test_opens_no_other_network(self, address: str) -> None:
        with pytest.raises(Blocked):
            await guard(allowed=["10.1.0.0/16"]).addresses_for(address, 80)

    async def test_does_not_make_up_for_another_bad_address_of_the_name(self) -> None:
        with pytest.raises(Blocked):
            await guard(["10.1.0.1", "10.2.0.1"], allowed=["10.1.0.0/16"]).addresses_for("a.b", 80)

    @pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%1"])
    async def test_does_not_let_a_zone_pick_the_interface(self, address: str) -> None:
        with pytest.raises(Blocked):
            await guard(allowed=["fe80::/10"]).addresses_for(address, 80)


class TestTheSystemsResolver:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        asked: list[Any] = []

        def getaddrinfo(host: bytes, port: int, *_: object) -> list[Any]:
            asked.append((host, port))
            kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
            return [
                (socket.AF_INET6, kind, protocol, "", ("2606:4700::1", port, 0, 0)),
                (socket.AF_INET, kind, protocol, "", ("1.1.1.1", port)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    async def test_is_asked_once_for_both_families(self, asked: list[Any]) -> None:
        found = await NetworkGuard().addresses_for("a.example", 443)
        assert [str(address) for address in found] == ["2606:4700::1", "1.1.1.1"]
        assert asked == [(b"a.example", 443)]

    async def test_is_not_asked_for_an_address(self, asked: list[Any]) -> None:
        await NetworkGuard().addresses_for("1.1.1.1", 443)
        assert asked == []

    async def test_knows_this_machine_and_it_is_blocked(self) -> None:
        with pytest.raises(Blocked):
            await NetworkGuard().addresses_for("localhost", 80)

    async def test_knows_this_machine_and_it_can_be_allowed(self) -> None:
        loopback = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
        found = await NetworkGuard(loopback).addresses_for("localhost", 80)
        assert all(address.is_loopback for address in found)

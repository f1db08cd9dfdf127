"""Where a check may go: a host name becomes addresses once, and each of them is vetted.

A check's URL may have been set up by an attacker who wants the service to reach what only the
service can reach: its own loopback, the private network around it, a cloud's metadata address. So
a name is looked up once for each check, every address it has is judged, and the caller connects
to the addresses returned here and to nothing else: no second lookup whose answer may differ.

The judgement is our own list and not ``ipaddress.is_global``, which calls some ranges wrongly
global before Python 3.11.10 and 3.12.4 (CVE-2024-4032). For IPv4 the list names what is denied;
for IPv6 only global unicast (2000::/3) is let through, less what is denied in it, so that ranges
that come into use later are denied until somebody looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from scheduler.system_resolver import system_resolver

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to the textual addresses of the host; raises OSError where it has none."""


class Blocked(Exception):
    """The call is refused before any packet is sent; the message can be shown to the user.

    It never tells which address a name has: that would let users map the network around us.
    """


class ResolutionFailed(Exception):
    """The host name has no address, or its name servers don't say; fit to be shown to the user."""


_DENIED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, and the unspecified address (RFC 791, 3.2)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598), and Alibaba Cloud's metadata
        "127.0.0.0/8",  # loopback (RFC 1122, 3.2.1.3)
        "168.63.129.16/32",  # Azure's host agent, which looks public (WireServer)
        "169.254.0.0/16",  # link-local (RFC 3927), and most clouds' metadata
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890), and Oracle Cloud's metadata
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relays, withdrawn (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112, 4), and broadcast
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291, 2.4; all else is denied, ::1 and fd00:: too

_DENIED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID, and more
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4, withdrawn (RFC 7526): an IPv4 address in disguise
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")  # the well-known prefix (RFC 6052); its last 32 bits are IPv4

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE)


class NetworkGuard:
    """Turns hosts into addresses that checks may reach.

    ``allowed_networks`` are exceptions, for addresses that are private and may be reached all the
    same. ``resolve`` looks names up; by default the system's resolver does, in threads.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        resolve: Resolve | None = None,
    ) -> None:
        self._allowed = tuple(allowed_networks)
        self._resolve = resolve or system_resolver()

    async def addresses_for(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of ``host``, looked up once and all of them vetted, in order.

        One bad address blocks the whole host. To pick out the good ones would be as safe, but
        then a name that points inside as well as outside, which nobody has by accident, would
        work or not by chance; refused, it is noticed.

        Raises:
            Blocked: the host is not spelt as a name or address, or it has a denied address.
            ResolutionFailed: the host name can't be resolved.

        """
        literal = _address(host)
        if literal is not None:
            return (self._vetted(literal, host),)
        _refuse_disguises(host)
        answers = await self._look_up(host, port)
        vetted = [self._vetted(_address(answer), f"an address of {host}") for answer in answers]
        return tuple(dict.fromkeys(vetted))

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        try:
            answers = await self._resolve(host, port)
        except OSError as exc:
            why = exc.strerror or "the lookup failed"
            raise ResolutionFailed(f"{host} can't be resolved: {why}") from exc
        if not answers:
            raise ResolutionFailed(f"{host} can't be resolved: it has no address")
        return answers

    def _vetted(self, address: Address | None, what: str) -> Address:
        """Return ``address`` where checks may go there; else refuse ``what`` it belongs to."""
        if address is not None and not _has_zone(address):
            goal = _goal(address)
            if _is_public(goal) or any(goal in network for network in self._allowed):
                return address
        raise Blocked(f"{what} is in a private, local or reserved network, where checks may not go")


def _address(spelling: str) -> Address | None:
    """Return the address that ``spelling`` is the usual spelling of, if it is one."""
    try:
        return ip_address(spelling)
    except ValueError:
        return None


def _has_zone(address: Address) -> bool:
    """Tell whether the address picks an interface of this machine (RFC 4007), as local ones do."""
    return isinstance(address, IPv6Address) and address.scope_id is not None


def _refuse_disguises(host: str) -> None:
    """Refuse what one parser takes for a name and the next for an address.

    A host whose last label is a number is an IPv4 address to some (``0x7f.1``, ``2130706433``:
    RFC 6943, 3.1.1; WHATWG URL, "ends in a number checker"), and ``%`` is an escape to one and a
    zone to the next. No real name has either, so neither is looked up.
    """
    name = host.removesuffix(".")
    if not _HOST_NAME.fullmatch(name):
        raise Blocked("the URL's host is neither a host name nor an IP address")
    if _ENDS_IN_A_NUMBER.fullmatch(name):
        raise Blocked("an IPv4 address has to be written as four decimal numbers, like 192.0.2.1")


def _goal(address: Address) -> Address:
    """Return the IPv4 address that a mapped or NAT64 address leads to; else the address itself.

    Networks without IPv4 reach every IPv4 host through the NAT64 prefix, so it is not denied as a
    whole. Prefixes that put the IPv4 address elsewhere (64:ff9b:1::/48, RFC 8215) are.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_IPV4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _DENIED_IPV6)

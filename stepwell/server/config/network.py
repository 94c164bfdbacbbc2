"""Which addresses requests that steps ask for may go to: networks as an operator writes them."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

INTERNAL = "internal"
"""Every address that is not the public internet's: of this machine, of private networks, …"""
NONE = "none"
_NAT64 = ip_network("64:ff9b::/96")


class Networks(msgspec.Struct, frozen=True):
    """What is denied, and what is allowed even so."""

    deny_internal: bool = False
    deny: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()

    @classmethod
    def of(cls, deny: Iterable[str], allow: Iterable[str]) -> "Networks | None":
        """From what was written; None where nothing is denied. Raises ValueError."""
        words = set(deny)
        denied = tuple(ip_network(word) for word in sorted(words - {INTERNAL, NONE}))
        if INTERNAL not in words and not denied:
            return None
        return cls(INTERNAL in words, denied, tuple(ip_network(word) for word in allow))

    def may_reach(self, text: str) -> bool:
        """May a connection to this address be made?"""
        address = _meant(ip_address(text.partition("%")[0]))
        if any(address in network for network in self.allow):
            return True
        if self.deny_internal and (not address.is_global or address.is_multicast):
            return False
        return not any(address in network for network in self.deny)


def _meant(address: Address) -> Address:
    """The address of version 4 that one of version 6 leads to, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def problem_of(word: str, *, denies: bool) -> str:
    """What is wrong with one entry of a list; nothing if it can be used."""
    if denies and word in (INTERNAL, NONE):
        return ""
    try:
        ip_network(word)
    except ValueError as error:
        words = ", or internal, or none" if denies else ""
        return f"{word!r} is no network ({error}); write it like 10.0.0.0/8{words}"
    return ""

"""The only place that knows by which names this server may be asked.

A web page can give its own host name the address of this machine. Its requests then look as if they
came from the server's own pages. The name in them gives them away. So in development, where nobody
needs a key, a name that is not the server's own is refused. Names the public DNS cannot give are
nobody's to take: an address, and where the server was opened to others a name without a dot.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from stepwell.server.config import Command, ServerConfig
from stepwell.server.listening import EVERY_ADDRESS

EVERY_NAME = "*"
_LOCAL = "localhost"
_PRIVATE = ".internal"
"""Reserved for private use: what Docker calls the machine it runs on, among others."""


class Hosts(msgspec.Struct, frozen=True):
    """The names of a server; `is_open` where it listens on every interface."""

    names: frozenset[str]
    is_open: bool

    @classmethod
    def of(cls, config: ServerConfig) -> "Hosts | None":
        """Its names; None where any will do, because everything needs a key."""
        if config.command is Command.START and not config.allowed_hosts:
            return None
        names = {config.host.lower(), *(name.lower() for name in config.allowed_hosts)}
        return cls(frozenset(names - {""}), config.host in EVERY_ADDRESS)

    def knows(self, host: str) -> bool:
        """Is this, as a Host header says it, a name of the server?"""
        name = name_of(host)
        if name in self.names or EVERY_NAME in self.names or name == _LOCAL:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return self._knows_name(name)
        return address.is_loopback or self.is_open

    def _knows_name(self, name: str) -> bool:
        if name.endswith(("." + _LOCAL, _PRIVATE)):
            return True
        if self.is_open and name and "." not in name:
            return True
        parts = name.split(".")
        return any("." + ".".join(parts[at:]) in self.names for at in range(1, len(parts)))

    def refusal(self, hosts: Iterable[str]) -> str:
        """What is wrong with the Host headers of a request; nothing if they are known or absent."""
        for host in hosts:
            if not self.knows(host):
                name = name_of(host)[:100]
                return (
                    f"this server is not called {name!r}: start it with --allowed-host {name} if"
                    " it is, or ask it by an address"
                )
        return ""


def name_of(host: str) -> str:
    """The name or address in a Host header, without its port."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, colon, port = text.rpartition(":")
    return (name if colon and port.isdecimal() else text).removesuffix(".")


def is_foreign_page(headers: Mapping[str, str]) -> bool:
    """A browser says where its page came from; a page of elsewhere must not steer the server.

    `headers` have names in lower case.
    """
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True

"""The only place that opens sockets for requests, and says on which addresses."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

BACKLOG = 2048
LOOPBACK_NAME = "localhost"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - what an operator wrote, not a choice


class CannotListen(Exception):
    """An address nobody can listen on; the text names it and the fix."""


def open_sockets(host: str, port: int) -> tuple[socket.socket, ...]:
    """Listening sockets for a host and port; port 0 takes a free one.

    `localhost` is both loopback addresses, so that it does not matter which of them a client's
    system tries first. Raises `CannotListen`.
    """
    opened: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            chosen = port or (opened[0].getsockname()[1] if opened else 0)
            try:
                opened.append(_listening(family, address, chosen))
            except OSError as error:
                if opened and host == LOOPBACK_NAME:
                    continue  # a machine without IPv6, or with its own use for that port there
                raise CannotListen(_explained(host, port, error)) from None
    except BaseException:
        for one in opened:
            one.close()
        raise
    return tuple(opened)


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that was taken."""
    return int(sockets[0].getsockname()[1])


def url_of(host: str, port: int) -> str:
    """Where a client on this machine finds the server."""
    if host in EVERY_ADDRESS or host == LOOPBACK_NAME:
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine alone."""
    try:
        host = urlsplit(url).hostname or ""
        return host == LOOPBACK_NAME or ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    if host == LOOPBACK_NAME:
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)  # noqa: S104
    except OSError as error:
        raise CannotListen(_explained(host, port, error)) from None
    family, _, _, _, place = found[0]
    return [(family, str(place[0]))]


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # Named as TCP, because asyncio switches Nagle's delay off only where it says so.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6 and address != "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _explained(host: str, port: int, error: OSError) -> str:
    return (
        f"cannot listen on {host or 'every interface'} port {port}: {error.strerror or error};"
        " is another server running there? Choose another with --port, or --host"
    )

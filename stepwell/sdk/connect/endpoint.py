"""The address of a gateway: whether it is one, and how people are shown it."""

from urllib.parse import urlsplit


def shown_endpoint(endpoint: str) -> str:
    """A gateway's address for people: without its query, which may let one in."""
    return endpoint.partition("?")[0]


def endpoint_problem(endpoint: str) -> str | None:
    """What is wrong with a gateway's address; None: nothing."""
    shown = shown_endpoint(endpoint)
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"the gateway endpoint {shown!r} is no URL: {error}"
    if parts.scheme not in {"ws", "wss"}:
        return f"the gateway endpoint {shown!r} must begin with ws:// or wss://"
    if not host:
        return f"the gateway endpoint {shown!r} names no host"
    return None

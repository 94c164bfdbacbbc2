"""Redirections of the SDK's requests: the only place that says where they lead, and with what.

A request stays what it is, method and body included: a send that became a GET would be lost.
"""

from collections.abc import Mapping

from yarl import URL

from stepwell.sdk.net.port import REDIRECTS

REDIRECTS_MAX = 10
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


def place_of(asked: URL, status: int, location: str | None) -> URL | None:
    """Where an answer redirects to; None if it does not. Raises ValueError for what is no URL."""
    if status not in REDIRECTS or not location:
        return None
    place = asked.join(URL(location, encoded=True))
    if place.scheme not in ("http", "https") or not place.host:
        raise ValueError(f"redirected to {location!r}, which is no URL of the web")
    return place


def headers_for(headers: Mapping[str, str], asked: URL, place: URL) -> Mapping[str, str]:
    """What is sent along: secrets only within an origin, or where it is made secure."""
    here, there = (asked.scheme, asked.host, asked.port), (place.scheme, place.host, place.port)
    secured = here == ("http", asked.host, 80) and there == ("https", asked.host, 443)
    if here == there or secured:
        return headers
    return {name: value for name, value in headers.items() if name.lower() not in _SECRET}

"""What a start call adds to the address it gives: whoever comes with it was let in over HTTP.

It lets a worker introduce itself at length and opens nothing else. Who has none says it shortly.
"""

import hashlib
import hmac
from urllib.parse import parse_qs

PARAMETER = "ticket"
VALID_S = 300


def mint(secret: bytes, now_s: float) -> str:
    """A ticket for the next minutes, as a query."""
    until = str(int(now_s) + VALID_S)
    return f"{PARAMETER}={until}-{_mark(secret, until)}"


def is_valid(query: str, secret: bytes, now_s: float) -> bool:
    """Is there a ticket in this query that still counts?"""
    try:
        (given,) = parse_qs(query, max_num_fields=8).get(PARAMETER, [])
    except ValueError:
        return False
    until, _, mark = given.partition("-")
    if not hmac.compare_digest(mark.encode(), _mark(secret, until).encode()):
        return False
    return int(until) >= now_s


def _mark(secret: bytes, until: str) -> str:
    return hmac.new(secret, b"ticket:" + until.encode(), hashlib.sha256).hexdigest()

"""Whether a request looks like one of the server's: the only place that knows by what."""

from collections.abc import Mapping
from typing import Final

from stepwell.wire import header

_MARKS: Final = frozenset({header.RUN_ID, header.SIGNATURE})


def is_inngest_request(headers: Mapping[str, str]) -> bool:
    """Does a request look like a call of the server: has it the headers `x-run-id` and
    `x-inngest-signature`, in letters of either case?

    A hint for what guards an application, to let the request pass to the endpoint, which checks the
    signature. It proves nothing.
    """
    return {name.lower() for name in headers} >= _MARKS

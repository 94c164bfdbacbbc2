"""What an endpoint serves, and under which names: the same for all of its requests."""

from collections.abc import Callable

import msgspec

from stepwell.sdk.serve.register import App
from stepwell.sdk.serve.table import FunctionTable
from stepwell.sdk.step.log import Logger


class Served(msgspec.Struct, frozen=True):
    """One app behind an endpoint.

    `app` is asked at the first sync; `now_ms` is wall time, `spent_ns` a clock for durations.
    """

    app_id: str
    framework: str
    table: FunctionTable
    log: Logger
    app: Callable[[], App]
    now_ms: Callable[[], int]
    spent_ns: Callable[[], int]

"""How many runs came to each status over time, in the shape of the REST API's second version.
Pure."""

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

import msgspec

from stepwell.server.query.v2.run import InstantV2, NamedV2, StatusV2, app_ref, function_ref
from stepwell.server.store.counting import HOUR_MS, MINUTE_MS
from stepwell.server.store.port import RunCount
from stepwell.wire.duration import format_instant

_Number = Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType


class ResolutionV2(StrEnum):
    """How long each time is in which runs are counted."""

    MINUTE = "minute"
    HOUR = "hour"

    @property
    def span_ms(self) -> int:
        """In milliseconds."""
        return MINUTE_MS if self is ResolutionV2.MINUTE else HOUR_MS


class StatusCountsV2(msgspec.Struct, frozen=True, rename="upper"):
    """How many runs came to each status that was asked for."""

    queued: _Number = msgspec.UNSET
    running: _Number = msgspec.UNSET
    completed: _Number = msgspec.UNSET
    failed: _Number = msgspec.UNSET
    cancelled: _Number = msgspec.UNSET


class RunCountsV2(msgspec.Struct, frozen=True):
    """How many runs came to each status in the minute or hour that begins `at`: of one app, of one
    function, or of all that were asked for."""

    at: InstantV2
    counts: StatusCountsV2
    app: NamedV2 | msgspec.UnsetType = msgspec.UNSET
    function: NamedV2 | msgspec.UnsetType = msgspec.UNSET


def count_v2(count: RunCount, statuses: Collection[StatusV2]) -> RunCountsV2:
    """Counts as v2 tells them; of all statuses if none is named."""
    numbers = {
        StatusV2.QUEUED: count.queued,
        StatusV2.RUNNING: count.started,
        StatusV2.COMPLETED: count.completed,
        StatusV2.FAILED: count.failed,
        StatusV2.CANCELLED: count.cancelled,
    }
    wanted = {name.lower(): n for name, n in numbers.items() if not statuses or name in statuses}
    at_ms, app, function = count.place
    return RunCountsV2(
        format_instant(at_ms),
        StatusCountsV2(**wanted),
        app_ref(app) if app else msgspec.UNSET,
        function_ref(function) if function else msgspec.UNSET,
    )

"""The numbers and choices an operator may set for the engine, with the protocol's defaults."""

from typing import Literal

import msgspec

from stepwell.wire import limit

DAY_MS = 86_400_000


class Rules(msgspec.Struct, frozen=True):
    """Times in milliseconds, sizes in bytes.

    `retry_interval_ms` replaces the whole retry schedule by one constant delay when it is set.
    `cron_catch_up` says what becomes of occurrences missed while no server ran: none of them, the
    latest, or all of them. A decision that took `steps_per_decision_max` steps of expressions
    leaves the rest to the next.
    """

    retry_interval_ms: int | None = None
    cron_catch_up: Literal["skip", "one", "all"] = "one"
    dedup_window_ms: int = DAY_MS
    steps_max: int = limit.STEPS_PER_RUN_DEFAULT
    step_bytes_max: int = limit.STEP_OUTPUT_BYTES_MAX
    state_bytes_max: int = limit.RUN_STATE_BYTES_MAX
    wait_max_ms: int = 366 * DAY_MS
    losses_max: int = 20
    starts_per_decision_max: int = 250
    waits_per_decision_max: int = 100
    steps_per_decision_max: int = 100_000


DEFAULT = Rules()

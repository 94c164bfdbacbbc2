"""How a named limit stands, as a server tells it and clients read it (ours)."""

import msgspec


class LimitNumbers(msgspec.Struct, frozen=True, omit_defaults=True):
    """`concurrency` at once, or `rate` per `period`; nothing of both is no limit."""

    concurrency: int = 0
    rate: int = 0
    period: str = ""


class LimitKeyState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One value of a limit's key, as JSON text; empty where nothing names one. `inUse` is the
    weight of the calls under way, `waiting` counts runs that wait. Of a limit per period,
    `available` can be taken now. Until `coolsUntil` nothing begins, as a call asked for."""

    key: str = ""
    in_use: int = 0
    waiting: int = 0
    available: int | None = None
    cools_until: str = ""


class LimitState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A named limit: the numbers that hold now. Where an operator changed them (`isChanged`),
    `declared` are those of the code. `inUse` and `waiting` count all keys together; `functions`
    name the limit for all their calls. `keys` are those in use, at most 100."""

    name: str
    concurrency: int = 0
    rate: int = 0
    period: str = ""
    is_changed: bool = False
    declared: LimitNumbers | None = None
    in_use: int = 0
    waiting: int = 0
    functions: tuple[str, ...] = ()
    keys: tuple[LimitKeyState, ...] = ()

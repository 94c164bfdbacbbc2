"""What every decision knows of flow control without asking: which functions rest, and the numbers
of named limits. A part of the catalog; a value, too."""

from collections.abc import Iterable, Mapping

import msgspec

from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.limit import limit_of_row
from stepwell.server.flow.named_limit import NamedLimit

KINDS = (KeyKind.PAUSE, KeyKind.COOL, KeyKind.LIMIT)
"""The rows it is made of."""


class FlowState(msgspec.Struct, frozen=True):
    """`paused` functions rest until they are resumed, `cooled` ones until a time; `limits` are the
    named ones, by name. Functions may be here that are not registered."""

    paused: frozenset[str] = frozenset()
    cooled: Mapping[str, int] = {}
    limits: Mapping[str, NamedLimit] = {}

    def with_row(self, row: FlowKey) -> "FlowState":
        """The state in which this row is so."""
        name = row.id.partition(":")[2]
        match row.kind:
            case KeyKind.PAUSE:
                paused = self.paused | {name} if row.data else self.paused - {name}
                return msgspec.structs.replace(self, paused=paused)
            case KeyKind.COOL:
                cooled = {**self.cooled, name: row.value}
                return msgspec.structs.replace(self, cooled=cooled)
            case KeyKind.LIMIT:
                limits = {key: limit for key, limit in self.limits.items() if key != name}
                limit = limit_of_row(row)
                if limit is not None:
                    limits[name] = limit
                return msgspec.structs.replace(self, limits=limits)
            case _:
                return self


NOTHING_SPECIAL = FlowState()


def flow_state(rows: Iterable[FlowKey]) -> FlowState:
    """The state a store starts with."""
    state = NOTHING_SPECIAL
    for row in rows:
        state = state.with_row(row)
    return state

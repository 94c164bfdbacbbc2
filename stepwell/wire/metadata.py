"""Metadata of runs and steps: what SDKs send of it, and what an update makes of what was known.

Pure. The only place that knows the four ways to change it, and whose a name is.
"""

import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Literal, TypeAlias

import msgspec

from stepwell.wire.canonical import canonical
from stepwell.wire.identifier import step_hash
from stepwell.wire.outside import decode

MetadataOp: TypeAlias = Literal["merge", "set", "delete", "add"]
Values: TypeAlias = dict[str, msgspec.Raw]

NAME_BYTES_MAX = 128
USERLAND = "userland."
"""Where the names of what users say begin; the rest are those of SDKs and the server."""
SCORE, EXPERIMENT, WARNINGS = "inngest.score", "inngest.experiment", "inngest.warnings"
OF_SDKS = (SCORE, EXPERIMENT, WARNINGS)
"""What SDKs say of a run by a request of its own, besides what users do."""
_HASH = re.compile("[0-9a-f]{40}")
_NUMBER = msgspec.json.Decoder(int | float)
_VALUES = msgspec.json.Decoder(Values)


class MetadataUpdate(msgspec.Struct, frozen=True):
    """A change of the metadata of one name (`kind`). `merge` puts values over those that are there,
    `set` in their place, `delete` removes those it names, `add` adds numbers. `scope` says of what,
    where an operation brings it: `run`, `step` or `step_attempt`."""

    kind: str
    values: Values
    op: MetadataOp = "merge"
    scope: str = ""


Updates: TypeAlias = Sequence[MetadataUpdate]


class MetadataTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What it is said of: the run, unless a step is named, by its hashed id, or by its id and how
    often that was met before (`step_index`); one attempt of it; one span. Some SDKs name the run
    here, too."""

    run_id: str = ""
    step_id: str = ""
    step_index: int = 0
    step_attempt: int | None = None
    span_id: str = ""

    @property
    def hashed(self) -> str:
        """The hashed id of the step, nothing for the run."""
        return hashed_step(self.step_id, self.step_index)

    @property
    def place(self) -> str:
        """What of the step or the run: `attempt:2`, or `span:` and an id; nothing for all of it."""
        if self.span_id:
            return f"span:{self.span_id}"
        return "" if self.step_attempt is None else f"attempt:{self.step_attempt}"


def hashed_step(step_id: str, index: int = 0) -> str:
    """The hashed id of a step that is named by it, or by the id in the code."""
    if not step_id or _HASH.fullmatch(step_id):
        return step_id
    return step_hash(f"{step_id}:{index}" if index else step_id)


class MalformedMetadata(ValueError):
    """An update that cannot be carried out. The text says why, and how it would be."""


_UPDATES = msgspec.json.Decoder(tuple[MetadataUpdate, ...])


def decode_updates(raw: bytes) -> tuple[MetadataUpdate, ...]:
    """A list of updates. Raises MalformedMetadata."""
    try:
        found = decode(raw, _UPDATES)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fix = '[{"kind": "userland.order", "op": "merge", "values": {"items": 3}}]'
        raise MalformedMetadata(f"the metadata cannot be read: {error}; send {fix}") from None
    for update in found:
        check_name(update.kind, "kind")
    return found


class _Written(msgspec.Struct, omit_defaults=True):
    kind: str
    values: Values
    op: str
    scope: str = ""


def encode_updates(updates: Iterable[MetadataUpdate]) -> msgspec.Raw:
    """A list of updates as SDKs write it."""
    written = [_Written(one.kind, one.values, one.op, one.scope) for one in updates]
    return msgspec.Raw(msgspec.json.encode(written))


def check_name(name: str, field: str) -> None:
    """Raises MalformedMetadata for a name that is empty or too long."""
    if not 0 < len(name.encode()) <= NAME_BYTES_MAX:
        raise MalformedMetadata(
            f"{field} must have 1 to {NAME_BYTES_MAX} bytes, got {name[:80]!r}: shorten it"
        )


def updated(known: bytes, op: MetadataOp, values: bytes) -> bytes:
    """The values there are after an update, a JSON object; `known` is empty where there are none.

    Raises MalformedMetadata where something is to be added that is no number.
    """
    given = _VALUES.decode(values)
    if op == "set":
        return _object(given)
    there = _VALUES.decode(known) if known else {}
    if op == "delete":
        return _object({name: value for name, value in there.items() if name not in given})
    if op == "add":
        given = {name: _sum(name, there.get(name), value) for name, value in given.items()}
    return _object({**there, **given})


def _object(values: Values) -> bytes:
    try:
        return canonical(msgspec.Raw(msgspec.json.encode(values)))
    except ValueError as error:
        raise MalformedMetadata(f"values: {error}") from None


def _sum(name: str, known: msgspec.Raw | None, more: msgspec.Raw) -> msgspec.Raw:
    try:
        total = _NUMBER.decode(more) + (0 if known is None else _NUMBER.decode(known))
        is_number = isfinite(total)
    except (msgspec.DecodeError, OverflowError):
        total, is_number = 0, False
    if not is_number:
        raise MalformedMetadata(
            f"values.{name}: only numbers can be added to numbers, up to what a double holds: use"
            " the op merge or set"
        )
    return msgspec.Raw(msgspec.json.encode(total))

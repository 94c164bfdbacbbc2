"""The steps a call already knows, as `transform_input` sees and changes them.

Decoded only when looked at, written back only if looked at.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stepwell.sdk.errors import StepError
from stepwell.sdk.value.codec import PLAIN
from stepwell.sdk.value.failure import step_error
from stepwell.wire.execution import classify_memo, data_memo
from stepwell.wire.failure import decode_failure


class Output:
    """What one step gave: assign `data` to replace it, or change it in place."""

    __slots__ = ("_data", "_kind", "_touched", "_value")

    def __init__(self, raw: msgspec.Raw) -> None:
        memo = classify_memo(raw)
        self._kind = memo.kind
        self._value = memo.value
        self._data: Any = None
        self._touched = False

    @property
    def data(self) -> Any:
        """The result as plain JSON values; None of a step that failed."""
        if not self._touched and self._kind in ("data", "value"):
            self._data = PLAIN.decode(self._value)
            self._touched = True
        return self._data

    @data.setter
    def data(self, value: object) -> None:
        self._data = value
        self._touched = True

    @property
    def error(self) -> StepError | None:
        """What a failed step raises; None of others."""
        return step_error(decode_failure(self._value)) if self._kind == "error" else None

    def changed(self) -> msgspec.Raw | None:
        """The memo to use instead, None if nobody looked."""
        if not self._touched:
            return None
        data = PLAIN.encode(self._data)
        return data if self._kind == "value" else data_memo(data)


class StepMemos:
    """All known steps, by hashed id."""

    def __init__(self, memos: Mapping[str, Output]) -> None:
        self._memos = dict(memos)

    @classmethod
    def from_raw(cls, raw: Mapping[str, object]) -> "StepMemos":
        """From the memo map of a call, its values JSON or plain."""
        return cls(
            {
                step: Output(value if isinstance(value, msgspec.Raw) else PLAIN.encode(value))
                for step, value in raw.items()
            }
        )

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._memos)

    def values(self) -> Iterator[Output]:
        """What each step gave."""
        return iter(self._memos.values())

    def pop(self, hashed_id: str) -> Output | None:
        """Forget a step; it will be run again. None if it is not known."""
        return self._memos.pop(hashed_id, None)

    def onto(self, steps: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        """The memo map with what was changed here."""
        return {step: output.changed() or steps[step] for step, output in self._memos.items()}

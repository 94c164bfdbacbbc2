"""The steps a run already knows, each decoded only when it is met.

Law: the cost of a call does not grow with the size of results it never looks at.
"""

from collections.abc import Iterable, Mapping

import msgspec

from stepwell.wire.execution import classify_memo
from stepwell.wire.failure import Failure, decode_failure


class Known(msgspec.Struct, frozen=True, gc=False):
    """A step that went well: its result, without the wrapper."""

    data: msgspec.Raw


class KnownFailure(msgspec.Struct, frozen=True, gc=False):
    """A step that failed for good."""

    failure: Failure


class Override(msgspec.Struct, frozen=True, gc=False):
    """A step to be run once more, with these arguments: a JSON array."""

    input: msgspec.Raw


Memo = Known | KnownFailure | Override


class _Data(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: msgspec.Raw


_DATA = msgspec.json.Decoder(_Data)


def read_memo(raw: msgspec.Raw) -> Memo:
    """One entry of `steps` as what it means to the step it belongs to."""
    try:
        # By far the most common, and the cheapest to recognise.
        return Known(_DATA.decode(raw).data)
    except msgspec.ValidationError:
        memo = classify_memo(raw)
    if memo.kind == "error":
        return KnownFailure(decode_failure(memo.value))
    if memo.kind == "input":
        return Override(memo.value)
    return Known(memo.value)


class Memos:
    """What a call was told about earlier ones, and which of it the handler has asked for so far.

    `stack` is the order in which the steps ended; steps it does not name come last, as they stand.
    """

    def __init__(self, steps: Mapping[str, msgspec.Raw], stack: Iterable[str] = ()) -> None:
        self._steps = steps
        self._stack = stack
        self._unseen = set(steps)
        self._ranks: dict[str, int] | None = None

    def meet(self, hashed: str) -> Memo | None:
        """What is known of a step, None if nothing; from now on it counts as seen."""
        raw = self._steps.get(hashed)
        if raw is None:
            return None
        self._unseen.discard(hashed)
        return read_memo(raw)

    @property
    def any_unseen(self) -> bool:
        """Are there known steps the handler has not asked for yet?"""
        return bool(self._unseen)

    def unseen(self) -> list[str]:
        """The hashed ids of known steps the handler has not asked for, in the order they ended."""
        return sorted(self._unseen, key=self.rank)

    @property
    def ranks(self) -> Mapping[str, int]:
        """The place of each known step in the order in which steps ended, by its hashed id."""
        if self._ranks is None:
            ended = dict.fromkeys(self._stack)
            ended.update(dict.fromkeys(self._steps))
            self._ranks = {step: place for place, step in enumerate(ended)}
        return self._ranks

    def rank(self, hashed: str) -> int:
        """The place of a known step in the order in which steps ended."""
        return self.ranks.get(hashed, len(self.ranks))

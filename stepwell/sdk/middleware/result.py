"""What hooks receive and may change."""

from dataclasses import dataclass

import msgspec

from stepwell.sdk.value.codec import UNSPECIFIED


class StepInfo(msgspec.Struct, frozen=True):
    """A step as wraps and observers see it.

    `id` is what user code calls it, `name` what people are shown; `index` counts the uses of one id
    from 0; `memoized` says that its result is known; `attempt` counts tries from 0.
    """

    id: str
    name: str
    hashed_id: str
    index: int = 0
    memoized: bool = False
    attempt: int = 0


@dataclass(slots=True)
class RunResult:
    """What a run returned, on its way to the ordinary code that started it. Change `data` here."""

    data: object


@dataclass(slots=True)
class TransformOutputStepInfo:
    """The step an output belongs to. `opts` is what the server is told about it."""

    id: str
    op: str
    opts: dict[str, object] | None


@dataclass(slots=True)
class TransformOutputResult:
    """An output on its way out: of a step, or of the function if `step` is None. Change it here.

    `output` is plain JSON values, as they will be stored. `is_final_attempt` says of an error that
    there will be no further try.
    """

    error: Exception | None
    output: object
    step: TransformOutputStepInfo | None
    is_final_attempt: bool = False

    def has_output(self) -> bool:
        """Is there an output at all? A step that sleeps, waits or failed has none."""
        return self.output is not UNSPECIFIED

    @property
    def data(self) -> object:
        """The output, None if there is none."""
        return self.output if self.has_output() else None

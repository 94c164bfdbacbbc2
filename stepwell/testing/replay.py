"""Whether code can go on with a run that older code began. The only place that compares the two.

The function is called with the first stored steps, then with one more each time, as it was when the
run was under way. Each time it must ask for the step that came next. No step's own code runs; what
stands between the steps does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.execution.run import run_call
from stepwell.sdk.function.function import Function
from stepwell.sdk.value.codec import PLAIN, CodecError
from stepwell.sdk.value.failure import failure_of
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_OPERATIONS,
    CallContext,
    CallRequest,
    Stack,
    classify_memo,
    data_memo,
)
from stepwell.wire.failure import decode_failure, encode_failure_memo
from stepwell.wire.operation import RunComplete, is_lazy, label
from stepwell.wire.operation_decode import decode_operations
from stepwell.wire.recorded_run import NotRecorded, RecordedRun, RecordedStep, decode_recorded

_GOING = frozenset({"Scheduled", "Running"})


class Asked(msgspec.Struct, frozen=True):
    """What a call led to: the steps it asked for, by hashed id and name, or how it ended."""

    steps: Mapping[str, str]
    end: str = ""

    @property
    def told(self) -> str:
        """In words."""
        return self.end or f"asks for {_listed(self.steps.values())}"


def read_recorded(file: str | Path) -> RecordedRun:
    """The run of a file that `stepwell run ID --export FILE` wrote. Raises NotRecorded, with the
    name of the file, for one that cannot be read or holds none."""
    try:
        return decode_recorded(Path(file).read_bytes())
    except OSError as error:
        raise NotRecorded(f"{file}: {error.strerror or error}") from None
    except NotRecorded as error:
        raise NotRecorded(f"{file}: {error}") from None


def step_words(run: RecordedRun) -> dict[str, str]:
    """What each stored step is called, by its hashed id: `id`, and `id:1` where it comes again."""
    seen: dict[str, int] = {}
    words: dict[str, str] = {}
    for step in run.steps:
        count = seen.get(step.name, 0)
        seen[step.name] = count + 1
        words[step.id] = f"{step.name}:{count}" if count else step.name
    return words


def with_results(run: RecordedRun, results: Mapping[str, object]) -> RecordedRun:
    """The run as if these steps had ended otherwise, each named as `step_words` does: with a value
    that is JSON, or with an exception, which they failed with for good.

    Raises NotRecorded for a step that the run has not, and for one that has no result.
    """
    places = {word: place for place, word in enumerate(step_words(run).values())}
    steps = list(run.steps)
    for word, result in results.items():
        if word not in places:
            known = _listed(places) if places else "none"
            raise NotRecorded(f'the run has no step "{word}" (it has {known})')
        step = steps[places[word]]
        if step.op == "Sleep":
            raise NotRecorded(f'step "{word}" is a sleep, which has no result')
        steps[places[word]] = msgspec.structs.replace(step, memo=_memo(step, result))
    return msgspec.structs.replace(run, steps=tuple(steps))


def _memo(step: RecordedStep, result: object) -> msgspec.Raw:
    """A result as the step has it: what is waited for stands alone, the rest in a wrapper."""
    if isinstance(result, Exception):
        return encode_failure_memo(failure_of(result))
    try:
        value = PLAIN.encode(result)
    except CodecError as error:
        raise NotRecorded(f'the result of step "{step.name}" is no JSON: {error}') from None
    return value if classify_memo(step.memo).kind == "value" else data_memo(value)


async def misfit(
    run: RecordedRun, function: Function[Any], client: Inngest, *, steps: int | None = None
) -> str:
    """Why the function cannot go on with the run, in a sentence that names the step; empty if it
    can. With `steps` only so many of the first are looked at, and nothing of what came after."""
    count = len(run.steps) if steps is None else steps
    words = step_words(run)
    for place in range(count):
        step = run.steps[place]
        asked = await _asked(run, place, function, client)
        if step.id not in asked.steps:
            after = f'after "{words[run.steps[place - 1].id]}"' if place else "at its beginning"
            return (
                f'step "{words[step.id]}" ({place + 1} of {len(run.steps)}) no longer fits:'
                f" {after} the code {asked.told}"
            )
    return "" if steps is not None else await _end_misfit(run, function, client)


async def _end_misfit(run: RecordedRun, function: Function[Any], client: Inngest) -> str:
    """The same about what comes after the last stored step."""
    asked = await _asked(run, len(run.steps), function, client)
    if run.status in _GOING:
        for wait in run.waits:
            if wait.id not in asked.steps:
                return f'the run waits for "{wait.name or wait.id}", and the code {asked.told}'
    if run.status == "Completed" and asked.end != _RETURNED:
        return f"the run had come to its end, and the code {asked.told}"
    return ""


_RETURNED = "returns"


async def _asked(run: RecordedRun, steps: int, function: Function[Any], client: Inngest) -> Asked:
    """What the function asks for when it is called with so many of the first steps."""
    known = run.steps[:steps]
    request = CallRequest(
        ctx=CallContext(
            run_id=run.id,
            disable_immediate_execution=True,
            stack=Stack(tuple(step.id for step in known), len(known)),
        ),
        event=run.events[0],
        events=run.events,
        steps={step.id: step.memo for step in known},
        exact_numbers=True,
    )
    answer = await run_call(function, request, client=client)
    if answer.status == STATUS_OPERATIONS:
        operations = [one for one in decode_operations(answer.body) if not is_lazy(one)]
        if any(isinstance(one, RunComplete) for one in operations):
            return Asked({}, _RETURNED)
        return Asked({one.id: one.userland.id or label(one) for one in operations})
    if answer.status == STATUS_DONE:
        return Asked({}, _RETURNED)
    return Asked({}, f"raises {decode_failure(answer.body).told}")


def _listed(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names) or "nothing"

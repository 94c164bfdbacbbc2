"""A model of what an SDK does: small workflow programs as values, and one pure function that
answers a call of such a program. The only place that says in the small what replay means.

    answer(program, call) -> Reply

It is no SDK and shares nothing with ours: it exists so that the engine is judged by a second
reading of the protocol. A program never looks at a clock: what it does depends on its
memo, on the attempt, and on which of its branches ended first.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from stepwell.server.engine.message.input import Broke, Outcome, Progressed, Returned
from stepwell.wire.duration import format_duration
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import LimitUsed, StepLimit
from stepwell.wire.operation import (
    PARALLEL_RACE,
    GatewayCall,
    InvokeFunction,
    Operation,
    RunComplete,
    Sleep,
    StepError,
    StepFailed,
    StepPlanned,
    StepRun,
    WaitForEvent,
    WaitForSignal,
)

DISCOVERY = "step"


class Do(msgspec.Struct, frozen=True):
    """A step of user code. It fails in its first `failures` attempts; `fatal` fails for good at
    once. What is not `caught` ends the function. With `limits` it has a call of its own, at whose
    end it says what it `used` of them."""

    id: str
    failures: int = 0
    fatal: bool = False
    caught: bool = True
    retry_after_ms: int | None = None
    limits: tuple[StepLimit, ...] = ()
    used: tuple[LimitUsed, ...] = ()


class Send(msgspec.Struct, frozen=True):
    """A step that sends an event."""

    id: str
    event: str


class Nap(msgspec.Struct, frozen=True):
    """A sleep."""

    id: str
    ms: int


class Await(msgspec.Struct, frozen=True):
    """A wait for an event. `condition` is an expression over `event` and `async`, or empty."""

    id: str
    event: str
    timeout_ms: int
    condition: str = ""
    look_back: bool = False


class Listen(msgspec.Struct, frozen=True):
    """A wait for a signal."""

    id: str
    signal: str
    timeout_ms: int
    conflict: str = "replace"


class Invoke(msgspec.Struct, frozen=True):
    """Another function's run as a step. `timeout_ms` None waits a year."""

    id: str
    function: str
    timeout_ms: int | None = None
    caught: bool = True


class Fetch(msgspec.Struct, frozen=True):
    """A request the server makes."""

    id: str


class Together(msgspec.Struct, frozen=True):
    """Branches at once. All must end, or in a race the first of them ends it.

    A race that is `told` asks the server for a discovery after each step; one that is not is found
    decided only when all of its steps have ended.
    """

    branches: tuple["Body", ...]
    race: bool = False
    told: bool = True


class Stumble(msgspec.Struct, frozen=True):
    """User code outside a step fails in the first `times` attempts of every call that gets here."""

    times: int
    no_retry: bool = False
    retry_after_ms: int | None = None


Step: TypeAlias = Do | Send | Nap | Await | Listen | Invoke | Fetch
Statement: TypeAlias = Step | Together | Stumble
Body: TypeAlias = tuple[Statement, ...]


class Program(msgspec.Struct, frozen=True):
    """A function of the model. `live` saves steps on the way (checkpoints); `version` is what it
    says of the protocol; `polite` reports the last attempt's failure as final, as some SDKs do."""

    body: Body
    live: bool = False
    version: int = 2
    polite: bool = True


class Call(msgspec.Struct, frozen=True):
    """What a call tells: the memo in the order in which steps were saved, and how far it may go."""

    run_id: str
    memo: Mapping[str, bytes]
    target: str = DISCOVERY
    attempt: int = 0
    attempts_max: int = 5
    plan_only: bool = False
    nonce: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What the SDK answers; which step's user code ran, and which event that sent."""

    outcome: Outcome
    ran: str = ""
    sent: str = ""


class _Found(msgspec.Struct, frozen=True):
    """A step that is met and not in the memo."""

    step: Step
    hash: str
    beside: bool
    race: bool


class _Ended(msgspec.Struct, frozen=True):
    """A body came to its end with the step saved at `place`."""

    place: int


class _Stuck(msgspec.Struct, frozen=True):
    """A body cannot go on without these."""

    found: tuple[_Found, ...]


_Walked: TypeAlias = _Ended | _Stuck | Broke


class _Walk:
    """One replay: meets every step that can be met, in the order of the program."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.places = {step: place for place, step in enumerate(call.memo)}
        self.met: dict[str, int] = {}
        self.dormant: list[_Found] = []

    def body(self, body: Body, *, beside: bool = False, race: bool = False) -> _Walked:
        place = -1
        for statement in body:
            match statement:
                case Together():
                    walked = self.together(statement, race=race)
                case Stumble():
                    walked = self.stumble(statement)
                case _:
                    walked = self.step(statement, beside=beside, race=race)
            if not isinstance(walked, _Ended):
                return walked
            place = max(place, walked.place)
        return _Ended(place)

    def together(self, group: Together, *, race: bool) -> _Walked:
        race = race or (group.race and group.told)
        walked = [self.body(branch, beside=True, race=race) for branch in group.branches]
        broke = next((w for w in walked if isinstance(w, Broke)), None)
        if broke is not None:
            return broke
        ended = [w.place for w in walked if isinstance(w, _Ended)]
        found = [one for w in walked if isinstance(w, _Stuck) for one in w.found]
        if group.race and ended:
            self.dormant += found
            return _Ended(min(ended))
        return _Stuck(tuple(found)) if found else _Ended(max(ended, default=-1))

    def stumble(self, here: Stumble) -> _Walked:
        if self.call.attempt >= here.times:
            return _Ended(-1)
        return broken("stumbled", no_retry=here.no_retry, delay_ms=here.retry_after_ms)

    def step(self, step: Step, *, beside: bool, race: bool) -> _Walked:
        count = self.met.get(step.id, 0)
        self.met[step.id] = count + 1
        hashed = step_hash(f"{step.id}:{count}" if count else step.id)
        memo = self.call.memo.get(hashed)
        if memo is None:
            return _Stuck((_Found(step, hashed, beside, race),))
        if isinstance(step, Do | Invoke) and not step.caught and memo.startswith(b'{"error"'):
            return broken(f"step {step.id} failed", no_retry=True)
        return _Ended(self.places[hashed])


def broken(message: str, *, no_retry: bool = False, delay_ms: int | None = None) -> Broke:
    """A call that failed as a whole."""
    failure = Failure(name="ModelError", message=message)
    return Broke(failure, encode_failure(failure), delay_ms, no_retry, "invalid status code: 500")


def answer(program: Program, call: Call) -> Reply:
    """What an SDK answers to one call, one reply per step."""
    walk = _Walk(call)
    walked = walk.body(program.body)
    if call.target != DISCOVERY:
        met = [*(walked.found if isinstance(walked, _Stuck) else ()), *walk.dormant]
        wanted = next((one for one in met if one.hash == call.target), None)
        if wanted is not None:
            return _execute(program, call, wanted)
        if isinstance(walked, Broke):
            return Reply(walked)
        return Reply(broken(f"step {call.target} was not found"))
    match walked:
        case Broke():
            return Reply(walked)
        case _Ended():
            return Reply(Returned(b'{"done":%d}' % len(call.memo), program.version))
        case _Stuck(found):
            alone = len(found) == 1 and not found[0].beside and not call.plan_only
            if alone and _runs_at_once(found[0].step):
                return _execute(program, call, found[0])
            operations = tuple(_reported(call, one) for one in found)
            return Reply(Progressed(operations, program.version))


def live(program: Program, call: Call) -> Iterator[tuple[Reply, StepRun | None]]:
    """What an SDK does that saves its steps on the way: each reply with the step to checkpoint,
    and at last the one to answer. A caller whose checkpoint is refused asks no further."""
    memo = dict(call.memo)
    for count in range(1_000):
        nonce = f"{call.nonce}.{count}"
        now = msgspec.structs.replace(call, memo=memo, nonce=nonce, attempt=call.attempt)
        reply = answer(program, now)
        saved = saved_by(reply)
        # After a failure the attempt is the server's business: one reply, as without checkpoints.
        if saved is None or call.target != DISCOVERY or call.attempt:
            yield _completed(reply) if count else reply, None
            return
        yield reply, saved
        memo = {**memo, saved.id: b'{"data":' + bytes(saved.data) + b"}"}
    raise AssertionError("a program of the model has an end")


def saved_by(reply: Reply) -> StepRun | None:
    """The step a reply could save on the way, if it is one."""
    outcome = reply.outcome
    if isinstance(outcome, Progressed) and len(outcome.operations) == 1:
        only = outcome.operations[0]
        return only if isinstance(only, StepRun) else None
    return None


def _completed(reply: Reply) -> Reply:
    """With checkpoints a function's return is reported as an operation."""
    outcome = reply.outcome
    if not isinstance(outcome, Returned):
        return reply
    done = RunComplete(id=step_hash("complete"), data=msgspec.Raw(outcome.output))
    return Reply(Progressed((done,), outcome.version))


def _runs_at_once(step: Step) -> bool:
    """Whether a step that is met alone needs no call of its own."""
    return isinstance(step, Send) or (isinstance(step, Do) and not step.limits)


def _execute(program: Program, call: Call, found: _Found) -> Reply:
    """Run the step's user code."""
    step, mode = found.step, PARALLEL_RACE if found.race else ""
    if isinstance(step, Do) and (step.fatal or call.attempt < step.failures):
        return _fail(program, call, step, found)
    data = msgspec.Raw(msgspec.json.encode({"n": call.nonce}))
    used = step.used if isinstance(step, Do) else ()
    operation = StepRun(id=found.hash, name=step.id, data=data, parallel_mode=mode, used=used)
    sent = step.event if isinstance(step, Send) else ""
    return Reply(Progressed((operation,), program.version), found.hash, sent)


def _fail(program: Program, call: Call, step: Do, found: _Found) -> Reply:
    failure = Failure(name="StepError", message=f"attempt {call.attempt}")
    mode = PARALLEL_RACE if found.race else ""
    last = program.polite and call.attempt + 1 >= call.attempts_max
    if step.fatal or last:
        final = StepFailed(
            id=found.hash, name=step.id, failure=failure, parallel_mode=mode, used=step.used
        )
        return Reply(Progressed((final,), program.version, None, True), found.hash)
    again = StepError(
        id=found.hash, name=step.id, failure=failure, parallel_mode=mode, used=step.used
    )
    return Reply(Progressed((again,), program.version, step.retry_after_ms), found.hash)


def _reported(call: Call, found: _Found) -> Operation:
    """A step that is reported instead of run."""
    step, hashed, mode = found.step, found.hash, PARALLEL_RACE if found.race else ""
    match step:
        case Do(limits=limits):
            return StepPlanned(id=hashed, name=step.id, parallel_mode=mode, limits=limits)
        case Send():
            return StepPlanned(id=hashed, name=step.id, parallel_mode=mode)
        case Nap():
            return Sleep(id=hashed, name=step.id, until=_text(step.ms), parallel_mode=mode)
        case Await():
            return WaitForEvent(
                id=hashed,
                name=step.id,
                event=step.event,
                timeout=_text(step.timeout_ms),
                condition=step.condition,
                look_back=step.look_back,
                parallel_mode=mode,
            )
        case Listen():
            return WaitForSignal(
                id=hashed,
                name=step.id,
                signal=step.signal,
                timeout=_text(step.timeout_ms),
                conflict=step.conflict,
                parallel_mode=mode,
            )
        case Invoke():
            return InvokeFunction(
                id=hashed,
                name=step.id,
                function_id=step.function,
                timeout="" if step.timeout_ms is None else _text(step.timeout_ms),
                parallel_mode=mode,
            )
        case Fetch():
            return GatewayCall(id=hashed, name=step.id, url="http://api.test/", parallel_mode=mode)


def _text(ms: int) -> str:
    return format_duration(ms)

"""Draws what each control of flow does to a few events, from real runs on virtual time, into
docs/flow-control.md.

python -m tools.flow_pictures          # prints the pictures
python -m tools.flow_pictures --write  # puts them into the page
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stepwell
from stepwell.embedded import attach
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.node import Node
from stepwell.server.query.not_started import NotStarted, not_started
from stepwell.server.store.memory import MemoryStore
from stepwell.testing.virtual_time import EPOCH_MS, VirtualClock, VirtualLoop, run_virtually

PAGE = Path(__file__).resolve().parents[1] / "docs/flow-control.md"
END = "<!-- end of picture -->\n"

STEP, SLEEP, TOLD = "step", "sleep", "told"
WORK = ((STEP, 3.0),)
Work = tuple[tuple[str, float], ...]
AT_ONCE = (0.0,) * 6
SECONDS = (0.0, 1.0, 2.0, 2.0, 4.0, 5.0)


@dataclass(frozen=True)
class Scene:
    """Some events for a function with a control. `options` is shown, and is what is declared; so is
    `limits`, what its steps take."""

    name: str
    options: str
    arrivals: tuple[float, ...] = AT_ONCE
    work: Work = WORK
    data: tuple[dict[str, object], ...] = ()
    unit_s: float = 1.0
    limits: str = ""

    @property
    def shown(self) -> str:
        """What is said above its picture."""
        steps = f"step.run(…, limits=[{self.limits}])" if self.limits else ""
        return ", ".join(filter(None, (self.options, steps)))


SCENES = (
    Scene("none", "", arrivals=(0, 1, 2, 3, 4, 5)),
    Scene("concurrency", "concurrency=[Concurrency(limit=2)]"),
    Scene(
        "concurrency-sleeps",
        "concurrency=[Concurrency(limit=1)]",
        arrivals=(0, 0, 0),
        work=((STEP, 3), (SLEEP, 12), (STEP, 3)),
    ),
    Scene(
        "run-concurrency",
        "run_concurrency=[Concurrency(limit=1)]",
        arrivals=(0, 0, 0),
        work=((STEP, 3), (SLEEP, 6), (STEP, 3)),
    ),
    Scene(
        "concurrency-key",
        'concurrency=[Concurrency(limit=1, key="event.data.user")]',
        data=tuple({"user": user} for user in ("amy", "amy", "amy", "amy", "bob", "cat")),
    ),
    Scene("throttle", 'throttle=Throttle(limit=2, period="6s", burst=1)'),
    Scene(
        "rate-limit", 'rate_limit=RateLimit(limit=2, period="12s")', arrivals=(0, 1, 4, 8, 11, 14)
    ),
    Scene(
        "rate-limit-window",
        'rate_limit=RateLimit(limit=2, period="12s", algorithm="window")',
        arrivals=(0, 1, 4, 8, 11, 14),
    ),
    Scene(
        "idempotency",
        'idempotency="event.data.order"',
        arrivals=(0, 2, 4, 6, 8, 10),
        data=tuple({"order": order} for order in (1, 1, 2, 1, 2, 3)),
    ),
    Scene("debounce", 'debounce=Debounce(period="4s")', arrivals=(0, 2, 4, 12, 13, 20)),
    Scene(
        "debounce-timeout",
        'debounce=Debounce(period="4s", timeout="8s")',
        arrivals=(0, 2, 4, 6, 8.5, 10),
    ),
    Scene(
        "debounce-all",
        'debounce=Debounce(period="4s", collect="all")',
        arrivals=(0, 2, 4, 12, 13, 20),
    ),
    Scene("batch", 'batch_events=Batch(max_size=3, timeout="5s")', arrivals=(0, 1, 4, 9, 10, 20)),
    Scene(
        "priority",
        'concurrency=[Concurrency(limit=1)], priority=Priority(run="event.data.vip ? 600 : 0")',
        data=tuple({"vip": vip} for vip in (False, False, False, False, False, True)),
        work=((STEP, 2),),
    ),
    Scene(
        "fairness",
        'concurrency=[Concurrency(limit=1)], fairness=Fairness(key="event.data.user")',
        data=tuple({"user": user} for user in ("amy", "amy", "amy", "amy", "bob", "cat")),
        work=((STEP, 2),),
    ),
    Scene("singleton-skip", 'singleton=Singleton(mode="skip")', arrivals=(0, 1, 2, 4, 5, 8)),
    Scene("singleton-cancel", 'singleton=Singleton(mode="cancel")', arrivals=(0, 1, 2, 4, 5, 9)),
    Scene("backlog", "concurrency=[Concurrency(limit=1)], backlog=Backlog(limit=2)", SECONDS),
    Scene(
        "backlog-cancel",
        'concurrency=[Concurrency(limit=1)], backlog=Backlog(limit=2, on_full="cancel")',
        SECONDS,
    ),
    Scene(
        "limit",
        'limits=[limit("gpu", concurrency=4).by(weight="event.data.size")]',
        data=tuple({"size": size} for size in (3, 3, 1, 1, 1, 2)),
    ),
    Scene("limit-rate", "", limits='limit("openai", rate=2, period="6s").take(1)'),
    Scene(
        "limit-cool",
        'concurrency=[Concurrency(limit=2, key="event.data.user")]',
        data=tuple({"user": user} for user in ("amy", "amy", "amy", "bob", "bob", "bob")),
        work=((TOLD, 5), (STEP, 2)),
    ),
    Scene(
        "timeouts-start",
        'concurrency=[Concurrency(limit=1)], timeouts=Timeouts(start="7s")',
        arrivals=AT_ONCE,
    ),
    Scene(
        "timeouts-finish",
        'timeouts=Timeouts(finish="8s")',
        arrivals=(0, 1, 2),
        work=((STEP, 2), (SLEEP, 12), (STEP, 2)),
    ),
)


@dataclass
class Story:
    """What happened to one event."""

    arrived: float
    worked: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    run: Run | None = None
    without: NotStarted | None = None

    @property
    def ended(self) -> float:
        """When nothing more happened to it."""
        return (self.run.ended_ms - EPOCH_MS) / 1000 if self.run is not None else self.arrived

    @property
    def is_cancelled(self) -> bool:
        """Its run was ended before it was done."""
        return self.run is not None and self.run.status is RunStatus.CANCELLED

    def mark(self, start: float, end: float) -> str:
        """The sign for one stretch of time."""
        if end <= self.arrived:
            return " "
        if self.run is None:
            return "×" if start <= self.arrived < end else " "
        if self.is_cancelled and start <= self.ended < end:
            return "×"
        middle = (start + end) / 2
        if any(began <= middle < done for began, done in self.worked):
            return "█"
        if middle >= self.ended:
            return " "
        return "~" if self.worked and middle > self.worked[0][0] else "·"


async def played(scene: Scene, loop: VirtualLoop) -> list[Story]:
    """Run a scene to its end."""
    stories = [Story(at) for at in scene.arrivals]
    client = stepwell.Inngest(app_id="app", is_production=False)
    names = {name: getattr(stepwell, name) for name in stepwell.__all__}
    options: dict[str, Any] = eval(f"dict({scene.options})", names)  # noqa: S307
    limits: Any = eval(f"[{scene.limits}]", names)  # noqa: S307

    async def work(seconds: float, numbers: list[int]) -> None:
        began = loop.time()
        try:
            await asyncio.sleep(seconds)
        finally:
            for number in numbers:
                stories[number].worked.append((began, loop.time()))

    @client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event="go"), **options)
    async def function(ctx: stepwell.Context[Any]) -> None:
        numbers = [int(event.data["n"]) for event in ctx.events]
        for place, (kind, seconds) in enumerate(scene.work):
            if kind == SLEEP:
                await ctx.step.sleep(f"sleep-{place}", int(seconds * 1000))
            elif kind == STEP:
                await ctx.step.run(f"step-{place}", work, seconds, numbers, limits=limits)
            elif numbers == [0] and ctx.attempt == 0:
                raise stepwell.RetryAfterError(None, f"{seconds:g}s", quiet=True, scope="key")

    node = Node(MemoryStore(), clock=VirtualClock(loop))
    async with node:
        await attach(node, client, [function])
        ids: list[str] = []
        for number, at in enumerate(scene.arrivals):
            await asyncio.sleep(max(at - loop.time(), 0))
            data = {"n": number, **(scene.data[number] if scene.data else {})}
            ids += await client.send(stepwell.Event(name="go", data=data))
        await asyncio.sleep(120)
        for story, event_id in zip(stories, ids, strict=True):
            story.run = next(iter(node.reader.runs_of_event(event_id)), None)
            reasons = not_started(node.reader.dropped(event_id), [])
            story.without = reasons[0] if reasons else None
    return stories


def picture(scene: Scene) -> str:
    """A scene as text: a line for each event, time to the right."""
    stories = run_virtually(lambda loop: played(scene, loop))
    end = max(story.ended for story in stories)
    cells = int(end / scene.unit_s) + 1
    lines = [f"{'seconds':13}{_axis(cells, scene.unit_s)}"]
    for number, story in enumerate(stories):
        bounds = ((cell * scene.unit_s, (cell + 1) * scene.unit_s) for cell in range(cells))
        drawn = "".join(story.mark(start, stop) for start, stop in bounds)
        lines.append(f"{_label(scene, number):13}{drawn}  {_note(story, stories)}".rstrip())
    return "\n".join(lines)


def _axis(cells: int, unit_s: float) -> str:
    drawn = [" "] * (cells + 4)
    for cell in range(0, cells, 5):
        for place, letter in enumerate(f"{cell * unit_s:g}"):
            drawn[cell + place] = letter
    return "".join(drawn).rstrip()


def _label(scene: Scene, number: int) -> str:
    if not scene.data:
        return f"event {number + 1}"
    told = ", ".join(f"{name}={str(value).lower()}" for name, value in scene.data[number].items())
    return f"{number + 1} {told}"


def _note(story: Story, stories: list[Story]) -> str:
    if story.without is not None:
        return story.without.reason
    if story.is_cancelled:
        return "cancelled"
    same = [
        str(number + 1)
        for number, other in enumerate(stories)
        if other.run is not None and story.run is not None and other.run.id == story.run.id
    ]
    return f"one run for {', '.join(same)}" if len(same) > 1 else ""


def begin(name: str) -> str:
    """The mark before a picture in the page."""
    return f"<!-- picture: {name} -->\n"


def block(scene: Scene) -> str:
    """What stands between the marks of a picture."""
    shown = f"{scene.shown}\n\n" if scene.shown else ""
    return f"```text\n{shown}{picture(scene)}\n```\n"


def page(text: str) -> str:
    """The page with every picture drawn anew."""
    for scene in SCENES:
        before, found, rest = text.partition(begin(scene.name))
        if not found:
            raise SystemExit(f"{PAGE.name} has no place for the picture {scene.name}")
        _, _, after = rest.partition(END)
        text = f"{before}{found}{block(scene)}{END}{after}"
    return text


def pictures() -> Iterator[str]:
    """Every picture with its title."""
    for scene in SCENES:
        yield f"{scene.name}: {scene.shown}\n{picture(scene)}\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write("\n".join(pictures()))

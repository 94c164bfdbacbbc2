"""Plays the SDK's and the client's half of recordings against a server.

Every difference between what the server says and what the official one said is written down.

One fake app serves all recordings of a folder at once, as the app did when they were recorded.
What depends on the order of things keeps it: an answer is given only after the run's earlier
entries have ended, and a client speaks only after everything that had ended before it spoke.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
from aiohttp import web

from tests.compat.recording import IS_INSTANT, Bindings, Entry, Recording, differences

PATIENCE_SECONDS = 25.0
SETTLE_SECONDS = 0.3
ENDED = frozenset({"Completed", "Failed", "Cancelled"})
# Headers of a call that must say what they said.
SAME_HEADERS = ("content-type", "x-inngest-req-version", "x-inngest-step-id")
ECHOED_HEADERS = {
    "x-run-id": "run_id",
    "x-request-id": "request_id",
    "x-inngest-job-id": "job_id",
    "x-inngest-generation-id": "generation_id",
}
SIGNATURE = "x-inngest-signature"
NOT_FORWARDED = frozenset(
    {"host", "content-type", "traceparent", "tracestate", "server", SIGNATURE}
)


@dataclass(frozen=True, slots=True)
class Keys:
    """What both sides sign with when the recordings are signed."""

    signing: str

    def sign(self, text: bytes) -> str:
        """A signature of now, as the SDK gives one."""
        stamp = str(int(time.time()))
        digest = hmac.new(self.signing.encode(), text + stamp.encode(), hashlib.sha256)
        return f"t={stamp}&s={digest.hexdigest()}"

    def problems(self, signature: str | None, text: bytes) -> list[str]:
        """Is it a signature over these bytes, of now?"""
        given = dict(parse_qsl(signature or ""))
        stamp = given.get("t", "")
        digest = hmac.new(self.signing.encode(), text + stamp.encode(), hashlib.sha256)
        if given.get("s") != digest.hexdigest():
            return [f"signature {signature!r} does not fit the body"]
        return [] if abs(time.time() - int(stamp)) < 60 else [f"signature of {stamp}, not of now"]


@dataclass(slots=True)
class Play:
    """One recording in progress."""

    recording: Recording
    bindings: Bindings = field(default_factory=Bindings)
    problems: list[str] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    over: dict[int, asyncio.Event] = field(default_factory=dict)
    patience_seconds: float = PATIENCE_SECONDS

    def __post_init__(self) -> None:
        self.bindings.unordered_stack = self.recording.overlaps
        self.over = {entry.index: asyncio.Event() for entry in self.recording.entries}

    def blame(self, entry: Entry, found: list[str]) -> None:
        self.problems += [f"{entry}: {line}" for line in found]

    async def wait_for(self, entries: list[Entry], reason: str) -> None:
        try:
            async with asyncio.timeout(self.patience_seconds):
                for entry in entries:
                    await self.over[entry.index].wait()
        except TimeoutError:
            late = [str(e) for e in entries if not self.over[e.index].is_set()]
            self.problems.append(f"{reason}: waited in vain for {late}")

    def ended_before(self, moment: float, run: str | None = None) -> list[Entry]:
        """Entries that were over at that moment; of one run, if one is named."""
        return [
            e for e in self.recording.entries if e.ends < moment and (run is None or e.run == run)
        ]


def server_takes_part(recording: Recording) -> bool:
    """Does the recording hold anything the server says or is told?"""
    return any("server" in (entry.sender, entry.receiver) for entry in recording.entries)


class Player:
    """The fake app and the fake client of a folder of recordings."""

    def __init__(self, recordings: list[Recording]) -> None:
        self.plays = [Play(recording) for recording in recordings]
        self.sync = next(p for p in self.plays if p.recording.name.endswith("/sync"))
        self.strangers: list[str] = []
        keys = recordings[0].raw.get("keys")
        self.keys = Keys(keys["server_signing_key"]) if keys else None
        self.server = ""
        self.address = ""
        self.synced = asyncio.Event()
        self.session: aiohttp.ClientSession

    # The app's side.

    async def serve(self) -> web.AppRunner:
        """Listens on a free port; `address` tells which. The runner's end ends all."""
        app = web.Application(client_max_size=1 << 26)
        app.cleanup_ctx.append(self.client)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"localhost:{runner.addresses[0][1]}"
        return runner

    async def client(self, _app: web.Application) -> AsyncIterator[None]:
        """The session that asks the server: it is there before the server's first question."""
        async with aiohttp.ClientSession() as self.session:
            yield

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if request.method == "PUT":
            entry = self.sync.recording.between("server", "sdk")[0]
            return await self.answer(self.sync, entry, request, raw)
        found = self.find(request, json.loads(raw))
        if found is None:
            self.strangers.append(f"{request.method} {request.path_qs}: {raw[:600]!r}")
            return web.json_response({"message": "not recorded"}, status=500)
        return await self.answer(*found, request, raw)

    def find(self, request: web.Request, body: Any) -> tuple[Play, Entry] | None:
        """The recorded call this one is: same function and step, same run, else the best match."""
        best: tuple[int, Play, Entry] | None = None
        for play in self.plays:
            for entry in play.recording.between("server", "sdk"):
                if entry.index in play.taken or not same_target(entry, request):
                    continue
                run = entry.run
                actual = body.get("ctx", {}).get("run_id")
                if run is not None and play.bindings.actual.get(run, actual) != actual:
                    continue
                if actual in play.bindings.recorded and play.bindings.recorded[actual] != run:
                    continue
                count = len(differences(self.placed(entry.body), body, play.bindings.copy()))
                if best is None or count < best[0]:
                    best = (count, play, entry)
        return None if best is None else best[1:]

    async def answer(
        self, play: Play, entry: Entry, request: web.Request, raw: bytes
    ) -> web.Response:
        play.taken.add(entry.index)
        body = json.loads(raw)
        play.blame(entry, differences(self.placed(entry.body), body, play.bindings))
        play.blame(entry, header_problems(entry, request, body))
        if self.keys is not None:
            play.blame(entry, self.keys.problems(request.headers.get(SIGNATURE), raw))
        early = [
            str(before)
            for before in play.ended_before(entry.begins, entry.run)
            if entry.run is not None and not play.over[before.index].is_set()
        ]
        play.blame(entry, [f"came before {name} was over" for name in early])
        for inner in play.recording.during(entry):
            await self.ask(play, inner)
        if entry.run is not None:
            before = [e for e in play.ended_before(entry.ends, entry.run) if e is not entry]
            await play.wait_for(before, f"before the answer of {entry}")
        play.over[entry.index].set()
        if play is self.sync:
            self.synced.set()
        return self.recorded_answer(play, entry)

    def recorded_answer(self, play: Play, entry: Entry) -> web.Response:
        """What the SDK said, with the ids of now and its instants as far ahead as they were."""
        shift = self.shift(play, entry)
        headers = {
            name: moved(value, shift)
            for name, value in entry.raw["response_headers"].items()
            if name not in NOT_FORWARDED
        }
        answer = in_time(play.bindings.translate(self.placed(entry.answer)), shift)
        text = json.dumps(answer, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if self.keys is not None:
            headers[SIGNATURE] = self.keys.sign(text.encode())
        return web.Response(
            text=text,
            status=int(entry.raw["status"]),
            headers=headers,
            content_type="application/json",
        )

    def shift(self, play: Play, entry: Entry) -> timedelta:
        """How much later than recorded it is now."""
        begun = datetime.fromtimestamp(recorded_start(play.recording), UTC)
        then = begun + timedelta(milliseconds=entry.ends)
        return datetime.now(UTC) - then

    def placed(self, value: Any) -> Any:
        """The value with the placeholders of addresses filled in."""
        if isinstance(value, str):
            return value.replace("{app}", self.address).replace("{server}", self.server)
        if isinstance(value, dict):
            return {key: self.placed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.placed(inner) for inner in value]
        return value

    # The client's side, and what the SDK asks of the server.

    async def ask(self, play: Play, entry: Entry) -> None:
        """Sends a recorded request to the server and compares its answer."""
        play.taken.add(entry.index)
        body = in_time(play.bindings.translate(self.placed(entry.body)), timedelta())
        path = play.bindings.translate(entry.path)
        headers = {
            name: value
            for name, value in entry.raw["request_headers"].items()
            if name not in {"host", "traceparent", "tracestate"}
        }
        raw = body if body is None or isinstance(body, str) else json.dumps(body)
        give_up = time.monotonic() + play.patience_seconds
        while True:
            bindings = play.bindings.copy()
            async with self.session.request(
                entry.raw["method"], f"http://{self.server}{path}", data=raw, headers=headers
            ) as response:
                text = await response.text()
                found = self.answer_problems(entry, response, text, bindings)
            if not found or not may_change(entry, text) or time.monotonic() > give_up:
                break
            await asyncio.sleep(0.1)
        play.bindings = bindings
        play.blame(entry, found)
        play.over[entry.index].set()

    def answer_problems(
        self, entry: Entry, response: aiohttp.ClientResponse, text: str, bindings: Bindings
    ) -> list[str]:
        if response.status != entry.raw["status"]:
            return [f"status {response.status}, recorded {entry.raw['status']}: {text:.300}"]
        found: list[str] = []
        kind = "x-inngest-server-kind"
        if response.headers.get(kind) != entry.raw["response_headers"].get(kind):
            found.append(f"header {kind} is {response.headers.get(kind)!r}")
        if entry.answer is None:
            return found + ([f"body {text!r:.200}, recorded none"] if text else [])
        if isinstance(entry.answer, str):
            return found + ([f"body {text!r:.200}"] if text != entry.answer else [])
        try:
            actual = json.loads(text)
        except ValueError:
            return [*found, f"no JSON: {text!r:.200}"]
        recorded = self.placed(entry.answer)
        if entry.path.endswith("/runs"):
            return found + run_list_problems(recorded, actual, bindings)
        return found + differences(recorded, actual, bindings)

    async def perform(self, play: Play) -> None:
        """Everything of one recording that does not happen inside a call."""
        inside = {
            inner.index
            for call in play.recording.between("server", "sdk")
            for inner in play.recording.during(call)
        }
        last = 0.0
        for entry in play.recording.entries:
            if entry.receiver != "server" or entry.index in inside or play is self.sync:
                continue
            await play.wait_for(play.ended_before(entry.begins), f"before {entry}")
            if entry.begins - last > 500:
                await asyncio.sleep(SETTLE_SECONDS)  # the client had waited for something to settle
            last = entry.begins
            await self.ask(play, entry)
        await play.wait_for(
            [e for e in play.recording.entries if "server" in (e.sender, e.receiver)], "at the end"
        )

    async def run(self) -> None:
        """Plays all recordings at once; the server's address must be known by now."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.synced.wait()
        except TimeoutError:
            self.sync.problems.append("the server never asked the app to sync")
            return
        for play in self.plays:
            for entry in play.recording.between("client", "sdk"):
                play.over[entry.index].set()  # between others; nothing for the server to do
        await asyncio.gather(*(self.perform(play) for play in self.plays))
        await asyncio.sleep(SETTLE_SECONDS)


def recorded_start(recording: Recording) -> float:
    """Seconds since 1970 at which the first entry began, read from the first ULID it holds."""
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    for entry in recording.entries:
        answer = entry.raw["response_body"]
        if isinstance(answer, dict) and answer.get("ids", [""])[0]:
            value = 0
            for letter in answer["ids"][0][:10]:
                value = value * 32 + letters.index(letter)
            return value / 1000 - entry.begins / 1000
    return 0.0


def moved(value: str, shift: timedelta) -> str:
    """An instant as much later as the shift says; any other text stays."""
    if not IS_INSTANT.fullmatch(value):
        return value
    later = datetime.fromisoformat(value) + shift
    return later.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_time(value: Any, shift: timedelta) -> Any:
    """Operations whose name or time-out is an instant, moved to the present."""
    if isinstance(value, list):
        return [in_time(inner, shift) for inner in value]
    if isinstance(value, dict) and "op" in value and isinstance(value.get("name"), str):
        return {**value, "name": moved(value["name"], shift)}
    return value


def same_target(entry: Entry, request: web.Request) -> bool:
    parts = urlsplit(entry.path)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    return entry.raw["method"] == request.method and query == dict(request.query)


def header_problems(entry: Entry, request: web.Request, body: Any) -> list[str]:
    """A call's headers against the recorded ones and against its own body."""
    recorded = entry.raw["request_headers"]
    found = [
        f"header {name} is {request.headers.get(name)!r}, recorded {recorded[name]!r}"
        for name in SAME_HEADERS
        if name in recorded and request.headers.get(name, "").split(";")[0] != recorded[name]
    ]
    if "ctx" in body:
        found += [
            f"header {name} is {request.headers.get(name)!r}, the body says {body['ctx'][key]!r}"
            for name, key in ECHOED_HEADERS.items()
            if key in body["ctx"] and request.headers.get(name) != str(body["ctx"][key])
        ]
    kind = "x-inngest-server-kind"
    if kind in recorded and request.headers.get(kind) != recorded[kind]:
        found.append(f"header {kind} is {request.headers.get(kind)!r}")
    return found


def may_change(entry: Entry, text: str) -> bool:
    """Is this a list of an event's runs that is not yet as long as recorded, or not all over?"""
    if entry.raw["method"] != "GET" or not entry.path.endswith("/runs"):
        return False
    try:
        runs = json.loads(text)["data"]
    except (ValueError, KeyError):
        return False
    recorded = len(entry.answer["data"])
    return len(runs) < recorded or not all(run["status"] in ENDED for run in runs)


def run_list_problems(recorded: Any, actual: Any, bindings: Bindings) -> list[str]:
    """The runs of an event: how many, how they ended, with which output.

    The official server answers from a cache, and leaves the output empty of a run that ended with
    RunComplete; its answers are read with that in mind, ours must be the truth.
    """
    found: list[str] = []
    if len(recorded["data"]) != len(actual["data"]):
        return [f"{len(actual['data'])} runs, recorded {len(recorded['data'])}"]
    for then, now in zip(recorded["data"], actual["data"], strict=True):
        wanted = {key: then[key] for key in ("run_id", "function_id", "event_id", "status")}
        given = {key: now.get(key) for key in wanted}
        found += differences(wanted, given, bindings, "run")
        if then["output"] != "":
            found += differences(then["output"], now.get("output"), bindings, "run.output")
        found += [
            f"run.{key}: {now.get(key)!r}"
            for key in ("run_started_at", "ended_at")
            if not IS_INSTANT.fullmatch(str(now.get(key)))
        ]
    return found

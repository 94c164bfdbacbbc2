"""Recorded conversations as values, and the comparison of what was said then and is said now.

Ids, opaque tokens and times differ from run to run. `differences` therefore unifies: the first time
a recorded id is met it is bound to the actual one, and from then on it must be that one everywhere.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TRANSCRIPTS = Path(__file__).resolve().parents[1] / "transcripts"

ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
VARIES = re.compile(f"({ULID}|{UUID}|{INSTANT})")
IS_INSTANT = re.compile(INSTANT)

# Chosen by the server, said back by the SDK, meaning nothing in themselves.
OPAQUE = frozenset({"job_id", "qi_id", "request_id"})
# Trace context and grouping for the official dashboard: the server's own business.
INTERNAL = frozenset({"tc", "isr", "gid"})
# Milliseconds since 1970 between 2014 and 2100.
EARLIEST_MS, LATEST_MS = 1_400_000_000_000, 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and its answer."""

    index: int
    raw: dict[str, Any]

    @property
    def begins(self) -> float:
        return float(self.raw["at_ms"])

    @property
    def ends(self) -> float:
        return self.begins + float(self.raw["took_ms"])

    @property
    def sender(self) -> str:
        return str(self.raw["from"])

    @property
    def receiver(self) -> str:
        return str(self.raw["to"])

    @property
    def path(self) -> str:
        return str(self.raw["path_and_query"])

    @property
    def body(self) -> Any:
        return expanded(self.raw["request_body"])

    @property
    def answer(self) -> Any:
        return expanded(self.raw["response_body"])

    @property
    def run(self) -> str | None:
        body = self.raw["request_body"]
        return body["ctx"].get("run_id") if isinstance(body, dict) and "ctx" in body else None

    def __str__(self) -> str:
        return f"entry {self.index} ({self.sender} → {self.receiver} {self.path})"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: a scenario and its entries in the order in which they began."""

    name: str
    entries: tuple[Entry, ...]
    raw: dict[str, Any]

    def between(self, sender: str, receiver: str) -> list[Entry]:
        return [e for e in self.entries if (e.sender, e.receiver) == (sender, receiver)]

    @property
    def overlaps(self) -> bool:
        """Were two calls of one run under way at the same time?"""
        calls = self.between("server", "sdk")
        return any(
            one is not other and one.run == other.run and one.begins <= other.begins < one.ends
            for one in calls
            for other in calls
        )

    def during(self, call: Entry) -> list[Entry]:
        """What the SDK asked of the server while it was handling the call."""
        return [
            e
            for e in self.between("sdk", "server")
            if call.begins <= e.begins <= call.ends
            and (call.run is None or "/runs/" not in e.path or call.run in e.path)
            and ("/v1/checkpoint/" not in e.path or (call.run or "") in e.path)
        ]


@cache
def load(name: str) -> Recording:
    """The recording `folder/scenario`."""
    raw = json.loads((TRANSCRIPTS / f"{name}.json").read_text(encoding="utf-8"))
    entries = tuple(Entry(index, entry) for index, entry in enumerate(raw["exchange"]))
    return Recording(name, entries, raw)


def names(folder: str) -> list[str]:
    return sorted(f"{folder}/{path.stem}" for path in (TRANSCRIPTS / folder).glob("*.json"))


def expanded(value: Any) -> Any:
    """Strings that were cut out of the recording are put back as so many letters."""
    if isinstance(value, dict):
        if set(value) == {"cut"}:
            return "x" * int(value["cut"])
        return {key: expanded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner) for inner in value]
    return value


@dataclass(slots=True)
class Bindings:
    """Recorded ids and the actual ones they stand for; one to one."""

    actual: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)
    # Calls overlapped when this was recorded: steps may have ended in another order.
    unordered_stack: bool = False

    def copy(self) -> "Bindings":
        return Bindings(dict(self.actual), dict(self.recorded), self.unordered_stack)

    def bind(self, recorded: str, actual: str) -> bool:
        """Does the recorded id stand for the actual one? The first meeting decides."""
        if recorded not in self.actual and actual not in self.recorded:
            self.actual[recorded] = actual
            self.recorded[actual] = recorded
        return self.actual.get(recorded) == actual

    def translate(self, value: Any) -> Any:
        """The recorded value with every id that is bound replaced by the actual one."""
        if isinstance(value, str):
            whole = self.actual.get(value)
            if whole is not None:
                return whole
            return VARIES.sub(lambda m: self.actual.get(m.group(), m.group()), value)
        if isinstance(value, dict):
            return {self.translate(k): self.translate(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.translate(inner) for inner in value]
        return value


def is_time(value: Any) -> bool:
    return (
        isinstance(value, int) and not isinstance(value, bool) and EARLIEST_MS < value < LATEST_MS
    )


def text_differs(recorded: str, actual: str, bindings: Bindings) -> bool:
    ours, theirs = VARIES.split(actual), VARIES.split(recorded)
    if len(ours) != len(theirs):
        return True
    for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
        varies = index % 2 == 1
        if varies and IS_INSTANT.fullmatch(one) and IS_INSTANT.fullmatch(other):
            continue
        if varies and bindings.bind(one, other):
            continue
        if one != other:
            return True
    return False


def differences(recorded: Any, actual: Any, bindings: Bindings, where: str = "") -> list[str]:
    """Where the actual value is not what was recorded, ids and times aside; binds as it goes."""
    key = where.rsplit(".", 1)[-1]
    if key in OPAQUE and isinstance(recorded, str):
        fine = isinstance(actual, str) and actual and bindings.bind(recorded, actual)
        return [] if fine else [f"{where}: {actual!r} for {recorded!r}"]
    if isinstance(recorded, dict) and isinstance(actual, dict):
        return dict_differences(recorded, actual, bindings, where)
    if isinstance(recorded, list) and isinstance(actual, list):
        if key == "stack" and bindings.unordered_stack:
            recorded, actual = sorted(recorded), sorted(actual)
        if len(recorded) != len(actual):
            return [f"{where}: {len(actual)} elements, recorded {len(recorded)}: {actual!r:.300}"]
        return [
            found
            for index, (one, other) in enumerate(zip(recorded, actual, strict=True))
            for found in differences(one, other, bindings, f"{where}[{index}]")
        ]
    if isinstance(recorded, str) and isinstance(actual, str):
        if not text_differs(recorded, actual, bindings):
            return []
    elif (is_time(recorded) and is_time(actual)) or (
        recorded == actual and isinstance(recorded, bool) == isinstance(actual, bool)
    ):
        return []
    return [f"{where}: {actual!r:.300}, recorded {recorded!r:.300}"]


def dict_differences(
    recorded: dict[str, Any], actual: dict[str, Any], bindings: Bindings, where: str
) -> list[str]:
    recorded = {key: value for key, value in recorded.items() if key not in INTERNAL}
    actual = {key: value for key, value in actual.items() if key not in INTERNAL}
    found = [
        f"{where}.{key}: missing, recorded {recorded[key]!r:.300}"
        for key in recorded
        if key not in actual
    ]
    found += [
        f"{where}.{key}: {actual[key]!r:.300}, not recorded"
        for key in actual
        if key not in recorded
    ]
    for key in sorted(recorded.keys() & actual.keys()):
        found += differences(recorded[key], actual[key], bindings, f"{where}.{key}")
    return found

"""Numbers that pages promise in sentences are those of the code.

A sentence that is changed on its page is changed here; a number that is changed in the code fails
until its page says so. Tables of limits, options and settings have tests of their own.
"""

import re
from pathlib import Path

import pytest

from stepwell import embedded
from stepwell.sdk.connect import closing, health
from stepwell.server import mounted, node
from stepwell.server.api.access import session
from stepwell.server.api.graphql import bounds
from stepwell.server.api.realtime import subscriptions
from stepwell.server.api.sdk import endpoint_runs
from stepwell.server.engine import retry
from stepwell.server.engine.arriving import cron_due
from stepwell.server.gateway import gateway, protocol
from stepwell.server.realtime import hub
from stepwell.server.store import due
from stepwell.server.store.postgres import presence
from stepwell.server.store.sqlite import connection
from stepwell.wire import connect_limit, endpoint, limit, outside, realtime

DOCS = Path(__file__).parents[2] / "docs"
MINUTE_MS = 60_000
HOUR_S = 3_600


def kib(size: int) -> str:
    return f"{size // 1024} KiB"


def mib(size: int) -> str:
    return f"{size // 1024**2} MiB"


# In digits: each sentence is made with the number of the code.
WRITTEN = {
    "events.md": (
        (
            f"At most {limit.EVENTS_PER_REQUEST_MAX:,} events fit into a request, each of at most"
            f" {mib(limit.EVENT_BYTES_MAX)}"
        ),
    ),
    "functions.md": (
        (
            f"A run defers at most {limit.DEFERS_PER_RUN_MAX} functions with"
            f" {mib(limit.DEFER_INPUT_BYTES_MAX)} of data in all"
        ),
    ),
    "flow-control.md": (
        f"One run for up to `max_size` events ({limit.BATCH_SIZE_MIN} to {limit.BATCH_SIZE_MAX})",
        f"A batch of {mib(limit.BATCH_BYTES_MAX)} is full, too",
        f"At most `limit` runs (1 to {limit.BACKLOG_MAX:,}) wait for their first call",
    ),
    "performance.md": (
        f"| what is due next | {due.ITEMS_MAX:,} items |",
        (
            f"{connection.WRITER_CACHE_KB // 1024} MiB of the connection that writes,"
            f" {connection.READER_CACHE_KB // 1024} MiB of each that reads"
        ),
    ),
    "server.md": (
        f"A question may be {bounds.DEPTH_MAX} levels deep",
        f"and ask for {bounds.FIELDS_MAX:,} fields",
        f"| A sleep, a wait | {limit.WAIT_MS_MAX // (24 * HOUR_S * 1000)} days |",
        f"| Steps of a run | {limit.STEPS_PER_RUN_DEFAULT:,} |",
        f"| Result of a step | {mib(limit.STEP_OUTPUT_BYTES_MAX)} |",
        f"| Events and results of a run | {mib(limit.RUN_STATE_BYTES_MAX)} |",
        f"| Answer of an app | {mib(limit.REPLY_BODY_BYTES_MAX)} |",
        f"| Depth of JSON | {outside.DEPTH_MAX} levels |",
        f"| Retries | {limit.RETRIES_MAX} |",
        f"| One call over HTTP | {limit.CALL_MS_MAX // (HOUR_S * 1000)} h |",
        f"| Values in an event: numbers, texts, lists, fields | {limit.EVENT_VALUES_MAX:,} |",
        (
            f"| Sessions of an event, its `meta` | {limit.SESSIONS_PER_EVENT_MAX},"
            f" {kib(limit.EVENT_META_BYTES_MAX)} |"
        ),
    ),
    "embedded.md": (
        f"| `concurrency` | calls of functions under way at once | {embedded.CONCURRENCY} |",
        f"| `grace_seconds` | how long stopping waits for calls under way | {node.GRACE_S:.0f} |",
    ),
    "workers.md": (
        (
            f"asked no more after two heartbeats"
            f" ({protocol.STALE_BEATS * connect_limit.HEARTBEAT_S:.0f} seconds)"
        ),
    ),
    "guides/large-values.md": (
        f"A step may return up to {mib(limit.STEP_OUTPUT_BYTES_MAX)} as JSON",
        f"A run may hold {mib(limit.RUN_STATE_BYTES_MAX)} in all",
        f"A run has at most {limit.STEPS_PER_RUN_DEFAULT:,} steps",
    ),
    "guides/realtime.md": (
        f"the latest {hub.KEPT_MESSAGES:,} and {mib(hub.KEPT_BYTES)} of all topics",
        f"dropped after {hub.UNREAD_MESSAGES:,} messages or {mib(hub.UNREAD_BYTES)}",
        (
            f"A topic has at most {hub.SUBSCRIBERS_MAX:,} subscribers, a subscriber at most"
            f" {realtime.TOPICS_MAX} topics"
        ),
        (
            f"A message has at most {kib(realtime.MESSAGE_BYTES_MAX)}, names of channels and"
            f" topics at most {realtime.NAME_CHARS_MAX} characters"
        ),
    ),
    "guides/retries.md": (f"from 0 to {limit.RETRIES_MAX}.",),
}
# In words: a sentence, the number of the code, and the number that the words mean.
SPELT = {
    "functions.md": (
        ("tried again: five times in all", limit.RETRIES_DEFAULT + 1, 5),
        ("after 15 s, 30 s, 1 m and so on", retry.SCHEDULE_MS[:3], (15_000, 30_000, MINUTE_MS)),
    ),
    "server.md": (
        (
            "after 15 s, 30 s, 1 m, 2 m, 5 m, 10 m, 20 m, 40 m, 1 h and then every 2 h",
            retry.SCHEDULE_MS,
            (15_000, *(MINUTE_MS * n // 2 for n in (1, 2, 4, 10, 20, 40, 80, 120, 240))),
        ),
        ("within a minute and a half gets what it missed", hub.KEPT_MS, 90_000),
    ),
    "dashboard.md": (("It gets a session of twelve hours", session.LIFE_S, 12 * HOUR_S),),
    "embedded.md": (
        ("Streams end after ten seconds", mounted.STREAM_S, 10),
        ("For five seconds they wait", connection.BUSY_MS, 5_000),
    ),
    "workers.md": (
        ("something passes every ten", connect_limit.HEARTBEAT_S, 10),
        ("and dropped after five", connect_limit.GATEWAY_HEARTBEATS_MISSED_MAX, 5),
        ("an official one has two lease extensions", gateway.EXTENSIONS_MISSED_MAX, 2),
        ("after a minute without a connection", health.DOWN_MAX_S, 60),
        ("it says every minute what for", closing.TELL_WHAT_RUNS_EVERY_S, 60),
    ),
    "guides/cron.md": (
        ("could not start within a minute of its time was missed", cron_due.LATE_MS, MINUTE_MS),
        ("It is from a second to five minutes", limit.CRON_JITTER_MS_MAX, 5 * MINUTE_MS),
        ("may have up to ten triggers", limit.TRIGGERS_MAX, 10),
    ),
    "guides/durable-endpoints.md": (
        ("waits up to five minutes", endpoint_runs.WAIT_S, 300),
        ("for an hour, from any page", endpoint.TOKEN_LIFE_S, HOUR_S),
        ("says nothing for ten minutes", endpoint.SILENT_MS, 10 * MINUTE_MS),
    ),
    "guides/realtime.md": (
        ("keeps messages for a minute and a half", hub.KEPT_MS, 90_000),
        ("by server-sent events end after a quarter of an hour", subscriptions.OPEN_S, 15 * 60),
    ),
    "cluster.md": (("A server stands still for longer than 10 s", presence.ALIVE_S, 10),),
}


def said(page: str) -> str:
    return re.sub(r"\s+", " ", (DOCS / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", sorted(WRITTEN))
def test_numbers_in_digits(page: str) -> None:
    text = said(page)
    assert [sentence for sentence in WRITTEN[page] if sentence not in text] == []


@pytest.mark.parametrize("page", sorted(SPELT))
def test_numbers_in_words(page: str) -> None:
    text = said(page)
    assert [sentence for sentence, _, _ in SPELT[page] if sentence not in text] == []
    assert [(sentence, is_) for sentence, is_, told in SPELT[page] if is_ != told] == []

"""Our server against the SDK's half of the recordings.

It must make the calls the official one made, with the same bodies, in the same order within a run,
and give the same answers.
"""

import asyncio
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.compat.player import Play, Player, server_takes_part
from tests.compat.recording import load, names
from tests.interop.harness import free_port, running_server

pytestmark = pytest.mark.slow

FOLDERS = (
    "python-http",
    "js-http",
    "js-http-checkpoint",
    "python-http-signed",
    "js-http-signed",
)

# Where the official server is not copied: recording (or part of its name), what the difference
# holds, and why.
DIFFERENT: tuple[tuple[str, str, str], ...] = (
    (
        "",
        ".exact_numbers: True, not recorded",
        "calls say that numbers are kept as they are written",
    ),
    (
        "",
        ".keeps_logs: True, not recorded",
        "calls say that lines of the log are kept",
    ),
    (
        "",
        ".step_name: ",
        "calls for one step say what it is called",
    ),
    (
        "python-http/unicode",
        "12345678901234567890, recorded 12345678901234567000",
        "integers keep all their digits; the official server keeps doubles",
    ),
    (
        "send-rejected",
        ".ids: 0 elements, recorded 1",
        "an event that was refused has no id; the official server tells an empty one",
    ),
    (
        "send-rejected",
        ".error: ",
        "our refusals name the field, the value and the fix, not the decoder's types",
    ),
    (
        "server-auth",
        ".message: ",
        "who sent a wrong event key is told what to do where the official server says nothing",
    ),
    (
        "sync-again",
        ".sync_id: ",
        "a sync id names what was registered: the same functions, the same id",
    ),
    (
        "js-http/introspection",
        ": None, not recorded",
        "errors of registration have the fields of all other errors",
    ),
    (
        "js-http/introspection",
        ".status: 400, not recorded",
        "errors of registration have the fields of all other errors",
    ),
    (
        "cancel-sleep",
        "run.output: None, recorded {}",
        "a cancelled run has no output; the official server tells an empty object",
    ),
    (
        "batch-three",
        ": 1 runs, recorded 0",
        "every event of a batch tells its run; the official server tells it of the first alone",
    ),
)

# The checkpoints of this one belong to a run of another recording.
ELSEWHERE = frozenset({"js-http-signed/wrong-signature"})


def scenarios(folder: str) -> list[str]:
    """The recordings of a folder in which the server has a part."""
    return [n for n in names(folder) if n not in ELSEWHERE and server_takes_part(load(n))]


@cache
def played(folder: str) -> Player:
    """The player of a folder, after everything has been played once, all at the same time."""

    async def play() -> Player:
        recordings = [load(name) for name in scenarios(folder)]
        player = Player(recordings)
        runner = await player.serve()
        port = free_port()
        player.server = f"127.0.0.1:{port}"
        arguments = ["-u", f"http://{player.address}/api/inngest", "--poll-interval", "1"]
        verb = "dev"
        if keys := recordings[0].raw.get("keys"):
            verb = "start"
            arguments += ["--signing-key", keys["server_signing_key"]]
            arguments += ["--event-key", keys["event_key"]]
        with TemporaryDirectory() as scratch, ExitStack() as stack:
            told = (
                r"/fn/register is refused .* it takes the signing key",
                r": internal_server_error",
            )
            server = running_server(
                Path(scratch), *arguments, port=port, verb=verb, logged=told if keys else ()
            )
            await asyncio.to_thread(stack.enter_context, server)
            try:
                await player.run()
            finally:
                await asyncio.to_thread(stack.close)
                await runner.cleanup()
        return player

    return asyncio.run(play())


def unexpected(play: Play) -> list[str]:
    name = play.recording.name
    forgiven = [part for recording, part, _ in DIFFERENT if recording in name]
    return [p for p in play.problems if not any(part in p for part in forgiven)]


@pytest.mark.parametrize(
    "name",
    [name for folder in FOLDERS for name in scenarios(folder)],
)
def test_the_server_says_what_the_official_one_said(name: str) -> None:
    player = played(name.split("/", maxsplit=1)[0])
    play = next(p for p in player.plays if p.recording.name == name)
    assert unexpected(play) == []
    calls = play.recording.between("server", "sdk")
    assert [str(call) for call in calls if call.index not in play.taken] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_call_was_made_that_was_not_recorded(folder: str) -> None:
    assert played(folder).strangers == []

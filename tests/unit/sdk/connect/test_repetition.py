"""A failure that comes again and again is told once and then counted."""

from stepwell.sdk.connect.backoff import StartFailure
from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.output import AskStart, Level, Notice
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.sdk.connect.repetition import TELL_EVERY_S, Repetition

AWAY = "the start call failed: refused"


def test_it_is_told_once_and_then_counted() -> None:
    told = Repetition()
    assert told.tell(AWAY, 0.0) == AWAY
    every_two_s = [told.tell(AWAY, float(second)) for second in range(2, 62, 2)]
    assert [words for words in every_two_s if words] == [
        f"{AWAY} (30 times since this was told last)"
    ]
    assert told.tell(AWAY, TELL_EVERY_S + 2) == ""
    assert told.tell(AWAY, 2 * TELL_EVERY_S) == f"{AWAY} (2 times since this was told last)"


def test_another_failure_is_news() -> None:
    told = Repetition()
    assert told.tell(AWAY, 0.0) == AWAY
    assert told.tell("refused", 1.0) == "refused"
    assert told.tell(AWAY, 2.0) == AWAY


def test_the_first_after_it_worked_is_news() -> None:
    told = Repetition()
    told.tell(AWAY, 0.0)
    told.over()
    assert told.tell(AWAY, 1.0) == AWAY


def test_a_worker_whose_server_is_away_warns_once_a_minute() -> None:
    config = WorkerConfig(
        instance_id="i", apps=(), capabilities=b"", sdk_version="1", backoff_max_s=2.0
    )
    worker = WorkerProtocol(config, chance=lambda: 0.5)
    worker.begin(0.0)
    notices: list[Notice] = []
    now = 0.0
    while now <= TELL_EVERY_S:
        for output in worker.outputs():
            if isinstance(output, AskStart):
                worker.start_failed(output.attempt, StartFailure("refused"), now)
            elif isinstance(output, Notice):
                notices.append(output)
        now = worker.deadline() or 0.0
        worker.tick(now)
    assert len(notices) > 25
    assert [notice.words for notice in notices if notice.level is Level.WARNING] == [AWAY]

"""Tasks, in the words of the framework (or of its backport)."""

import threading

import django

if django.VERSION >= (6,):
    from django.tasks import task
else:
    from django_tasks import task


class OddError(Exception):
    """One with a path of its own."""


@task
def add(a: int, b: int) -> int:
    return a + b


@task(takes_context=True, priority=10)
async def tell(context, *, name: str) -> list[object]:
    return [context.attempt, name, context.task_result.args]


@task
def fail() -> None:
    raise OddError("on purpose")


class Desk:
    """Where tasks that are under way at the same time meet."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.open = threading.Event()
        self.pair = threading.Barrier(2, timeout=10)
        self.most = 0
        self._here = 0
        self._lock = threading.Lock()

    def enter(self, name: str) -> None:
        with self._lock:
            self.began.append(name)
            self._here += 1
            self.most = max(self.most, self._here)

    def leave(self) -> None:
        with self._lock:
            self._here -= 1


desk = Desk()


@task
def in_pairs(name: str) -> None:
    desk.enter(name)
    try:
        desk.pair.wait()
    finally:
        desk.leave()


@task
def when_open(name: str) -> None:
    desk.enter(name)
    assert desk.open.wait(10)
    desk.leave()

"""Tasks, in the words of the framework (or of its backport)."""

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

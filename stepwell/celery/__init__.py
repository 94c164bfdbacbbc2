"""Celery's shapes over durable functions: an application moves by changing its imports.

    from stepwell.celery import Celery, chain, chord, crontab, group, shared_task

    app = Celery("shop", is_production=False)

    @app.task(bind=True, autoretry_for=(ConnectionError,), retry_backoff=True)
    def charge(self, order): ...

    (charge.s(7) | ship.s()).apply_async(countdown=60)

A task is a function, a call of it a run, and `app.client` what a worker serves. What Celery has and
this has not is refused by name: nothing is accepted and ignored. See docs/coming-from/celery.md.
"""

from stepwell.celery.app import Celery, shared_task
from stepwell.celery.result import AsyncResult
from stepwell.celery.retries import MaxRetriesExceededError, Retry
from stepwell.celery.schedule import crontab
from stepwell.celery.signature import Signature, chain, chord, group
from stepwell.celery.task import Task

__all__ = [
    "AsyncResult",
    "Celery",
    "MaxRetriesExceededError",
    "Retry",
    "Signature",
    "Task",
    "chain",
    "chord",
    "crontab",
    "group",
    "shared_task",
]

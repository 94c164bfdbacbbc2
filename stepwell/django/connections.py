"""Database connections of functions: the only place that opens no request and closes its own.

Django gives connections back at the end of a request. Functions run in threads that know of none:
without this a connection the database has closed would fail one call after another.
"""

import threading
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import Any, cast

from asgiref.sync import AsyncToSync, SyncToAsync
from django.db import close_old_connections, connections, reset_queries

from stepwell.sdk.execution.pool import surround
from stepwell.sdk.function.function import Function
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.step.context import Context, ContextSync


class _Thread(threading.local):
    """What is known of this thread."""

    has_connections = True
    """Whether it may hold any: a function that never asks the database pays nothing for it."""


_thread = _Thread()


class fresh_connections:  # noqa: N801 - it is used as a function is
    """Around work in this thread: connections that are broken or too old are closed.

    A class: `contextmanager` sets the traceback of what passes, which some exceptions forbid.
    """

    def __enter__(self) -> None:
        if _thread.has_connections:
            reset_queries()
            close_old_connections()

    def __exit__(self, *_: object) -> None:
        held = connections.all(initialized_only=True)
        for connection in held:
            connection.close_if_unusable_or_obsolete()
        _thread.has_connections = bool(held)


def keep_fresh() -> None:
    """Do that around whatever plain code of functions runs in a thread of a pool."""
    surround(fresh_connections)


def freshen_shared_thread() -> None:
    """The same for the thread in which coroutines outside of requests use the ORM."""
    executor = SyncToAsync.single_thread_executor
    # Until a coroutine has used the ORM there is no such thread, and no connection of its own:
    # waking one up for nothing would cost each call more than the rest of its way through Django.
    if getattr(executor, "_threads", True):
        executor.submit(close_old_connections)


def outside_request() -> ContextVars:
    """This context for work that may outlast its request: coroutines in it use the ORM in the
    shared thread, where Django would send them to the request's own, which ends with it."""
    freshen_shared_thread()
    found = copy_context()
    found.run(_leave_request)
    return found


def _leave_request() -> None:
    AsyncToSync.executors.current = None
    cast(Any, SyncToAsync).thread_sensitive_context.set(None)


class ConnectionsMiddleware(MiddlewareSync):
    """For processes without requests, such as workers: does that before and after each call."""

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """A call begins."""
        freshen_shared_thread()

    def before_response(self) -> None:
        """A call has ended."""
        freshen_shared_thread()

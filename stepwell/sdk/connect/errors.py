"""What a worker can fail with, as users catch it.

Error
└── WorkerError                 the worker ended although nobody asked it to
    ├── WorkerUnauthorizedError     every signing key was refused at the first start
    └── RepliesUnsentError          it closed, but the server has not confirmed some answers
"""

from stepwell.sdk.errors import Error


class WorkerError(Error):
    """The worker ended although nobody asked it to; the message says why."""


class WorkerUnauthorizedError(WorkerError):
    """The server refused every signing key this worker has, at its first start."""


class RepliesUnsentError(WorkerError):
    """The worker closed with answers the server has not confirmed; `request_ids` names them.

    They are kept only if an outbox directory was given.
    """

    def __init__(self, message: str, request_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.request_ids = request_ids

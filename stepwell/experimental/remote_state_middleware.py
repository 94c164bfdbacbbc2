"""Results of steps in a store of your own: the server keeps a key in place of each.

For results too large for the server, or that must not leave your infrastructure. The markers are
those of the official SDK, so either side reads what the other wrote.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any, Protocol, cast

from stepwell.sdk.errors import Error
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.middleware.memos import Output, StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.wire.operation import StepRun

MARKER = "__REMOTE_STATE__"
STRATEGY = "__STRATEGY__"


class StateDriver(Protocol):
    """Where results are kept."""

    def load_steps(self, steps: StepMemos) -> None:
        """Put results in the place of those keys that are this driver's."""
        ...

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """Keep a result; returns what the server is to store."""
        ...


class RemoteStateMiddleware(MiddlewareSync):
    """Keeps results of steps elsewhere. Register `RemoteStateMiddleware.factory(driver)`."""

    def __init__(self, client: Any, raw_request: object, driver: StateDriver) -> None:
        super().__init__(client, raw_request)
        self._driver = driver
        self._run_id = ""

    @classmethod
    def factory(cls, driver: StateDriver) -> "Callable[[Any, object], RemoteStateMiddleware]":
        """What is registered with a client or a function."""

        def make(client: Any, raw_request: object) -> RemoteStateMiddleware:
            return cls(client, raw_request, driver)

        return make

    def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> None:
        """Load what earlier calls kept."""
        self._run_id = ctx.run_id
        self._driver.load_steps(steps)

    def transform_output(self, result: TransformOutputResult) -> None:
        """Keep the result of a step that ran here."""
        if result.step is not None and result.step.op == StepRun.op and result.has_output():
            result.output = self._driver.save_step(self._run_id, result.output)


def _marked(step: Output, strategy: str) -> dict[str, Any] | None:
    """What the server stored for a step, if it is a key of this strategy."""
    data = step.data
    if not isinstance(data, dict):
        return None
    found = cast("dict[str, Any]", data)
    return found if MARKER in found and found.get(STRATEGY) == strategy else None


class InMemoryDriver:
    """Keeps results in this process: for tests, and as an example."""

    IDENTIFIER = "inngest/memory"

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}

    def load_steps(self, steps: StepMemos) -> None:
        """Put results in the place of their keys. Raises Error for one that is not here."""
        for step in steps.values():
            found = _marked(step, self.IDENTIFIER)
            if found is None:
                continue
            if found.get("key") not in self._kept:
                raise Error(
                    f"a step's result is in the memory of another process (key {found.get('key')!r}"
                    "): use a driver that several processes share, such as S3Driver"
                )
            step.data = self._kept[found["key"]]

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """Keep a result."""
        key = secrets.token_hex(16)
        self._kept[key] = value
        return {MARKER: True, STRATEGY: self.IDENTIFIER, "key": key}


class ObjectStore(Protocol):
    """What `S3Driver` needs of a client, such as boto3's for S3."""

    def put_object(self, *, Body: Any, Bucket: str, Key: str) -> Any:  # noqa: N803 - boto3's names
        """Store an object."""
        ...

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803 - boto3's names
        """Read an object: a mapping with its `Body`."""
        ...


class S3Driver:
    """Keeps results in a bucket, one object each, below `inngest/remote_state/<run id>/`."""

    IDENTIFIER = "inngest/s3"

    def __init__(self, *, bucket: str, client: ObjectStore) -> None:
        """Choose a bucket; `client` is `boto3.client("s3")`, or whatever behaves like it."""
        self._bucket = bucket
        self._client = client

    def load_steps(self, steps: StepMemos) -> None:
        """Read results in the place of their keys."""
        for step in steps.values():
            found = _marked(step, self.IDENTIFIER)
            if found is not None:
                answer = self._client.get_object(Bucket=found["bucket"], Key=found["key"])
                step.data = json.loads(answer["Body"].read())

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """Store a result."""
        key = f"inngest/remote_state/{run_id}/{secrets.token_hex(16)}"
        self._client.put_object(Body=json.dumps(value), Bucket=self._bucket, Key=key)
        return {MARKER: True, STRATEGY: self.IDENTIFIER, "bucket": self._bucket, "key": key}

"""What programs say of runs and steps: metadata, and scores.

It goes to the server, or along with the step that says it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.net.engine_port import AnnotationPort
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.step import annotation
from stepwell.sdk.step.annotation import ExperimentRef, MetadataOp, Said
from stepwell.wire.metadata import MetadataTarget, encode_updates
from stepwell.wire.outside import decode


class _Body(msgspec.Struct):
    target: MetadataTarget
    metadata: msgspec.Raw


class _Refused(msgspec.Struct):
    error: str = ""


_REFUSED = msgspec.json.Decoder(_Refused)


class Annotations:
    """Says what was made ready elsewhere, to an engine in this process or to the server. Made by
    the client: `client.annotations`."""

    def __init__(
        self,
        api: Callable[[], ServerApi],
        engine: Callable[[], AnnotationPort | None],
        timeout_seconds: Callable[[], float],
    ) -> None:
        self._api = api
        self._engine = engine
        self._timeout_seconds = timeout_seconds

    async def say(self, said: Said) -> None:
        """Say what was made ready elsewhere."""
        if annotation.travels(said):
            return
        said, port = annotation.to_send(said), self._engine()
        if port is not None:
            await port.annotate(said.run_id, said.target, said.updates)
        else:
            _check(said, await self._api().ask(self._saying(said)))

    def say_sync(self, said: Said) -> None:
        """The same for blocking code."""
        if annotation.travels(said):
            return
        said, port = annotation.to_send(said), self._engine()
        if port is not None:
            port.annotate_sync(said.run_id, said.target, said.updates)
        else:
            _check(said, self._api().ask_sync(self._saying(said)))

    def _saying(self, said: Said) -> ApiRequest:
        return ApiRequest(
            method="POST",
            path=f"/v1/runs/{quote(said.run_id, safe='')}/metadata",
            body=msgspec.json.encode(_Body(said.target, encode_updates(said.updates))),
            timeout_seconds=self._timeout_seconds(),
        )


class Annotator(ABC):
    """Says what is to be kept with runs and steps; `Inngest` is one."""

    @property
    @abstractmethod
    def annotations(self) -> Annotations:
        """What brings it to where it is kept."""

    async def score(
        self,
        *,
        name: str,
        value: float,
        run_id: str | None = None,
        step_id: str | None = None,
        experiment: ExperimentRef | None = None,
    ) -> None:
        """Say how good a run or a step was: a number, or True or False, under a name.

        Said again of the same under the same name, it takes the place of what was said before. In
        a step it goes along with the step's result; in the handler itself it is said each time the
        handler passes by: `ctx.step.score` says it once.

        Args:
            name: At most 128 bytes, without control characters and the quote '.
            value: A finite number, or True or False.
            run_id: Which run; by default the one this is said in.
            step_id: Which of its steps, by its id in the code; by default the step this is said in,
                or the run.
            experiment: Which variant it is about: the `experiment_ref` of what
                `ctx.group.experiment` gave. Then it is one of the run, unless a step is named.

        Raises ConfigurationError for other arguments, and outside of runs without `run_id`; Error
        if the server refuses, for it does not know the run, say; NetworkError if nobody answers.
        """
        said = annotation.score(name, value, run_id=run_id, step_id=step_id, experiment=experiment)
        await self.annotations.say(said)

    def score_sync(
        self,
        *,
        name: str,
        value: float,
        run_id: str | None = None,
        step_id: str | None = None,
        experiment: ExperimentRef | None = None,
    ) -> None:
        """The same as `score`, for blocking code."""
        said = annotation.score(name, value, run_id=run_id, step_id=step_id, experiment=experiment)
        self.annotations.say_sync(said)

    async def metadata(
        self,
        values: Mapping[str, object],
        *,
        kind: str = "default",
        op: MetadataOp = "set",
        run_id: str | None = None,
        step_id: str | None = None,
        step_index: int = 0,
        attempt: int | None = None,
        span_id: str | None = None,
    ) -> None:
        """Say something of a run, a step, an attempt or a span: it is shown with it.

        In a step it goes along with the step's result; in the handler itself it is said each time
        the handler passes by: `ctx.step.metadata` says it once.

        Args:
            values: JSON by name, at most 64 KiB, and 1 MiB in a run.
            kind: The name of these values, at most 119 bytes; on the wire after `userland.`.
            op: `set` puts them in the place of those under that name, `merge` over them; `delete`
                removes those it names, `add` adds numbers.
            run_id: Of which run; by default the one this is said in.
            step_id: Of which of its steps, by its id in the code; by default the step this is said
                in, or the run.
            step_index: The how manieth of that id, from 0.
            attempt: Of which try of the step, from 0.
            span_id: Of which span of your own.

        Raises as `score` does.
        """
        said = annotation.metadata(
            values,
            kind=kind,
            op=op,
            run_id=run_id,
            step_id=step_id,
            step_index=step_index,
            attempt=attempt,
            span_id=span_id,
        )
        await self.annotations.say(said)

    def metadata_sync(
        self,
        values: Mapping[str, object],
        *,
        kind: str = "default",
        op: MetadataOp = "set",
        run_id: str | None = None,
        step_id: str | None = None,
        step_index: int = 0,
        attempt: int | None = None,
        span_id: str | None = None,
    ) -> None:
        """The same as `metadata`, for blocking code."""
        said = annotation.metadata(
            values,
            kind=kind,
            op=op,
            run_id=run_id,
            step_id=step_id,
            step_index=step_index,
            attempt=attempt,
            span_id=span_id,
        )
        self.annotations.say_sync(said)


def _check(said: Said, reply: HttpReply) -> None:
    """Raises Error if what was said is not kept."""
    try:
        told = decode(reply.body, _REFUSED).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = "" if reply.status < 400 else reply.body[:300].decode(errors="replace")
    if reply.status >= 400 or told:
        raise Error(f"nothing was kept of run {said.run_id}: HTTP {reply.status}: {told}")

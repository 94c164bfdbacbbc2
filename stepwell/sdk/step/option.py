"""What the user said of a step the server does, as the operation that tells the server. Pure."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from stepwell.sdk.step.asked import Met
from stepwell.wire import operation as ops
from stepwell.wire.operation import Operation, Userland

Builder: TypeAlias = Callable[[Met], Operation]

SEND_EVENT = "step.sendEvent"
SEND_SIGNAL = "step.sendSignal"
PUBLISH = "step.realtime.publish"
INFER = "step.ai.infer"
WRAP = "step.ai.wrap"
EXPERIMENT = "group.experiment"


def sleep(until: str) -> Builder:
    """Nothing until then: a duration, or an instant as RFC 3339."""

    def build(met: Met) -> Operation:
        return ops.Sleep(
            id=met.name.hashed,
            name=until,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            until=until,
        )

    return build


def wait_for_event(event: str, condition: str, timeout: str, look_back: bool) -> Builder:
    """Until an event of a name meets a condition, or until then; past ones may count, too."""

    def build(met: Met) -> Operation:
        return ops.WaitForEvent(
            id=met.name.hashed,
            name=event,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            event=event,
            timeout=timeout,
            condition=condition,
            look_back=look_back,
        )

    return build


def wait_for_signal(signal: str, timeout: str, conflict: Literal["fail", "replace"]) -> Builder:
    """Until a signal of a name is sent, or until then."""

    def build(met: Met) -> Operation:
        return ops.WaitForSignal(
            id=met.name.hashed,
            name=signal,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            signal=signal,
            timeout=timeout,
            conflict=conflict,
        )

    return build


def invoke(
    function_id: str,
    data: msgspec.Raw,
    timeout: str,
    v: str | None,
    user: msgspec.Raw | None = None,
    meta: msgspec.Raw | None = None,
) -> Builder:
    """Another function's run, whose result is the step's."""

    def build(met: Met) -> Operation:
        return ops.InvokeFunction(
            id=met.name.hashed,
            name=met.title,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            function_id=function_id,
            data=data,
            timeout=timeout,
            v=v,
            user=user,
            meta=meta,
        )

    return build


def fetch(method: str, url: str, headers: Mapping[str, str], body: str) -> Builder:
    """An HTTP request the server makes."""

    def build(met: Met) -> Operation:
        return ops.GatewayCall(
            id=met.name.hashed,
            name=met.title,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            url=url,
            method=method,
            headers=tuple(headers.items()),
            body=body,
        )

    return build


def infer(
    url: str, format: str, auth_key: str, headers: Mapping[str, str], body: msgspec.Raw
) -> Builder:
    """An inference the server asks a provider for."""

    def build(met: Met) -> Operation:
        return ops.AiGatewayCall(
            id=met.name.hashed,
            name=met.title,
            display_name=met.title,
            userland=_userland(met),
            parallel_mode=met.ask.mode,
            url=url,
            format=format,
            auth_key=auth_key,
            headers=tuple(headers.items()),
            body=body,
            type=INFER,
        )

    return build


def _userland(met: Met) -> Userland:
    return Userland(met.name.id, met.name.index)

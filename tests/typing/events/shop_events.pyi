"""The events of this project, typed. Written by `stepwell events`; do not edit."""

# ruff: noqa
# A client of these events alone takes less than any client does.
# mypy: disable-error-code="override"
# pyright: reportIncompatibleMethodOverride=false

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, Unpack, overload

import stepwell

EVENTS: dict[str, Any]
schemas: stepwell.EventSchemas

class Tree(TypedDict):
    """The data of an event."""

    children: NotRequired[list[Tree]]

class Address(TypedDict):
    """The data of an event."""

    street: str
    floor: NotRequired[int | None]

class Created(TypedDict):
    """Somebody signed up."""

    id: str
    name: str
    address: NotRequired[Address | None]

class Deleted(TypedDict):
    """The data of an event."""

    id: str
    why: NotRequired[str]

class ShopAnyPayload(TypedDict):
    name: Literal["shop/any"]
    data: NotRequired[dict[str, Any]]
    id: NotRequired[str]
    ts: NotRequired[int | datetime]
    v: NotRequired[str]
    user: NotRequired[Mapping[str, object]]
    meta: NotRequired[Mapping[str, object]]

ShopAny: TypeAlias = stepwell.Event[dict[str, Any], Literal["shop/any"]]

class _ShopAnyType(stepwell.EventType[dict[str, Any]]):
    def __call__(self, **data: Any) -> stepwell.Event[dict[str, Any]]: ...

shop_any: _ShopAnyType

class ShopTreePayload(TypedDict):
    name: Literal["shop/tree"]
    data: NotRequired[Tree]
    id: NotRequired[str]
    ts: NotRequired[int | datetime]
    v: NotRequired[str]
    user: NotRequired[Mapping[str, object]]
    meta: NotRequired[Mapping[str, object]]

ShopTree: TypeAlias = stepwell.Event[Tree, Literal["shop/tree"]]

class _ShopTreeType(stepwell.EventType[Tree]):
    def __call__(self, *, children: list[Tree] = ...) -> stepwell.Event[Tree]: ...

shop_tree: _ShopTreeType

class UserCreatedPayload(TypedDict):
    name: Literal["user/created"]
    data: Created
    id: NotRequired[str]
    ts: NotRequired[int | datetime]
    v: NotRequired[str]
    user: NotRequired[Mapping[str, object]]
    meta: NotRequired[Mapping[str, object]]

UserCreated: TypeAlias = stepwell.Event[Created, Literal["user/created"]]

class _UserCreatedType(stepwell.EventType[Created]):
    def __call__(
        self, *, id: str, name: str, address: Address | None = ...
    ) -> stepwell.Event[Created]: ...

user_created: _UserCreatedType

class UserDeletedPayload(TypedDict):
    name: Literal["user/deleted"]
    data: Deleted
    id: NotRequired[str]
    ts: NotRequired[int | datetime]
    v: NotRequired[str]
    user: NotRequired[Address]
    meta: NotRequired[Mapping[str, object]]

UserDeleted: TypeAlias = stepwell.Event[Deleted, Literal["user/deleted"]]

class _UserDeletedType(stepwell.EventType[Deleted]):
    def __call__(self, *, id: str, why: str = ...) -> stepwell.Event[Deleted]: ...

user_deleted: _UserDeletedType

AnyEvent: TypeAlias = (
    ShopAnyPayload
    | stepwell.Event[dict[str, Any]]
    | ShopTreePayload
    | stepwell.Event[Tree]
    | UserCreatedPayload
    | stepwell.Event[Created]
    | UserDeletedPayload
    | stepwell.Event[Deleted]
)

@overload
def Event(
    *,
    name: Literal["shop/any"],
    data: dict[str, Any] = ...,
    id: str = ...,
    ts: int | datetime = ...,
    v: str | None = ...,
    meta: Mapping[str, object] | None = ...,
    user: Mapping[str, object] | None = ...,
) -> stepwell.Event[dict[str, Any], Literal["shop/any"]]: ...
@overload
def Event(
    *,
    name: Literal["shop/tree"],
    data: Tree = ...,
    id: str = ...,
    ts: int | datetime = ...,
    v: str | None = ...,
    meta: Mapping[str, object] | None = ...,
    user: Mapping[str, object] | None = ...,
) -> stepwell.Event[Tree, Literal["shop/tree"]]: ...
@overload
def Event(
    *,
    name: Literal["user/created"],
    data: Created,
    id: str = ...,
    ts: int | datetime = ...,
    v: str | None = ...,
    meta: Mapping[str, object] | None = ...,
    user: Mapping[str, object] | None = ...,
) -> stepwell.Event[Created, Literal["user/created"]]: ...
@overload
def Event(
    *,
    name: Literal["user/deleted"],
    data: Deleted,
    id: str = ...,
    ts: int | datetime = ...,
    v: str | None = ...,
    meta: Mapping[str, object] | None = ...,
    user: Address | None = ...,
) -> stepwell.Event[Deleted, Literal["user/deleted"]]: ...
@overload
def TriggerEvent(
    *, event: Literal["shop/any"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[stepwell.Event[dict[str, Any], Literal["shop/any"]], dict[str, Any]]: ...
@overload
def TriggerEvent(
    *, event: Literal["shop/tree"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[stepwell.Event[Tree, Literal["shop/tree"]], Tree]: ...
@overload
def TriggerEvent(
    *, event: Literal["user/created"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[stepwell.Event[Created, Literal["user/created"]], Created]: ...
@overload
def TriggerEvent(
    *, event: Literal["user/deleted"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[stepwell.Event[Deleted, Literal["user/deleted"]], Deleted]: ...
@overload
def TriggerEvent(
    *, event: Literal["shop/*"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[
    stepwell.Event[dict[str, Any], Literal["shop/any"]]
    | stepwell.Event[Tree, Literal["shop/tree"]],
    dict[str, Any] | Tree,
]: ...
@overload
def TriggerEvent(
    *, event: Literal["user/*"], expression: str | None = ..., if_exp: str | None = ...
) -> stepwell.TriggerEvent[
    stepwell.Event[Created, Literal["user/created"]]
    | stepwell.Event[Deleted, Literal["user/deleted"]],
    Created | Deleted,
]: ...
@overload
def TriggerEvent(
    *,
    event: Literal["inngest/function.failed"],
    expression: str | None = ...,
    if_exp: str | None = ...,
) -> stepwell.TriggerEvent[stepwell.FunctionFailedEvent, Mapping[str, object]]: ...
@overload
def TriggerEvent(
    *,
    event: Literal["inngest/function.finished"],
    expression: str | None = ...,
    if_exp: str | None = ...,
) -> stepwell.TriggerEvent[stepwell.FunctionFinishedEvent, Mapping[str, object]]: ...
@overload
def TriggerEvent(
    *,
    event: Literal["inngest/function.cancelled"],
    expression: str | None = ...,
    if_exp: str | None = ...,
) -> stepwell.TriggerEvent[stepwell.FunctionCancelledEvent, Mapping[str, object]]: ...
@overload
def TriggerEvent(
    *,
    event: Literal["inngest/function.invoked"],
    expression: str | None = ...,
    if_exp: str | None = ...,
) -> stepwell.TriggerEvent[stepwell.FunctionInvokedEvent, Mapping[str, object]]: ...
@overload
def TriggerEvent(
    *,
    event: Literal["inngest/scheduled.timer"],
    expression: str | None = ...,
    if_exp: str | None = ...,
) -> stepwell.TriggerEvent[stepwell.ScheduledTimerEvent, Mapping[str, object]]: ...
def Cancel(
    *,
    event: Literal["shop/any", "shop/tree", "user/created", "user/deleted"]
    | stepwell.EventSource[Any, Any],
    if_exp: str | None = ...,
    timeout: Any = ...,
) -> stepwell.Cancel: ...

class Client(stepwell.Inngest):
    async def send(
        self,
        events: AnyEvent | Iterable[AnyEvent],
        *,
        skip_middleware: bool = ...,
        env: str | None = ...,
        seed: str | None = ...,
        split: bool = ...,
    ) -> stepwell.SendResult: ...
    def send_sync(
        self,
        events: AnyEvent | Iterable[AnyEvent],
        *,
        skip_middleware: bool = ...,
        env: str | None = ...,
        seed: str | None = ...,
        split: bool = ...,
    ) -> stepwell.SendResult: ...
    @overload
    def on(
        self,
        event: Literal["shop/any"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[
        stepwell.Event[dict[str, Any], Literal["shop/any"]], dict[str, Any]
    ]: ...
    @overload
    def on(
        self,
        event: Literal["shop/tree"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.Event[Tree, Literal["shop/tree"]], Tree]: ...
    @overload
    def on(
        self,
        event: Literal["user/created"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.Event[Created, Literal["user/created"]], Created]: ...
    @overload
    def on(
        self,
        event: Literal["user/deleted"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.Event[Deleted, Literal["user/deleted"]], Deleted]: ...
    @overload
    def on(
        self,
        event: Literal["shop/*"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[
        stepwell.Event[dict[str, Any], Literal["shop/any"]]
        | stepwell.Event[Tree, Literal["shop/tree"]],
        dict[str, Any] | Tree,
    ]: ...
    @overload
    def on(
        self,
        event: Literal["user/*"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[
        stepwell.Event[Created, Literal["user/created"]]
        | stepwell.Event[Deleted, Literal["user/deleted"]],
        Created | Deleted,
    ]: ...
    @overload
    def on(
        self,
        event: Literal["inngest/function.failed"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.FunctionFailedEvent, Mapping[str, object]]: ...
    @overload
    def on(
        self,
        event: Literal["inngest/function.finished"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.FunctionFinishedEvent, Mapping[str, object]]: ...
    @overload
    def on(
        self,
        event: Literal["inngest/function.cancelled"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.FunctionCancelledEvent, Mapping[str, object]]: ...
    @overload
    def on(
        self,
        event: Literal["inngest/function.invoked"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.FunctionInvokedEvent, Mapping[str, object]]: ...
    @overload
    def on(
        self,
        event: Literal["inngest/scheduled.timer"],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[stepwell.DeclaredOptions],
    ) -> stepwell.TypedDecorator[stepwell.ScheduledTimerEvent, Mapping[str, object]]: ...

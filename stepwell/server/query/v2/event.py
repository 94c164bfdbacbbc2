"""An event in the shape of the REST API's second version. Pure."""

from typing import Annotated

import msgspec

from stepwell.server.engine.row.run import EventRow
from stepwell.server.query.v2.run import InstantV2
from stepwell.wire.duration import format_instant
from stepwell.wire.event import decode_event

_Object = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class EventV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event. `id` is the server's, `externalId` the sender's; `ts` (milliseconds since 1970) is
    when the sender says that it happened."""

    id: str
    name: str
    ts: int
    received_at: InstantV2
    external_id: str = ""
    data: _Object | msgspec.UnsetType = msgspec.UNSET
    user: _Object | msgspec.UnsetType = msgspec.UNSET
    v: str = ""
    meta: _Object | msgspec.UnsetType = msgspec.UNSET


def event_v2(row: EventRow, *, with_data: bool) -> EventV2:
    """An event as v2 tells it; without its data it is a line of a list."""
    about = EventV2(
        id=row.id,
        name=row.name,
        ts=row.ts,
        received_at=format_instant(row.received_ms),
        external_id=row.key,
    )
    if not with_data:
        return about
    event = decode_event(row.body)
    user = event.user
    return msgspec.structs.replace(
        about,
        external_id=row.key or event.id or "",
        data=event.data,
        user=msgspec.UNSET if user is None or bytes(user) == b"{}" else user,
        v=event.v or "",
        meta=event.meta if event.meta is not None else msgspec.UNSET,
    )

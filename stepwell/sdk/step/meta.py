"""What goes beside the data of a run that another one starts: sessions, its own and inherited."""

from collections.abc import Mapping
from typing import cast

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire.event_session import SessionError, normal_meta


def meta_of(what: str, meta: object, inherited: Mapping[str, str]) -> msgspec.Raw | None:
    """It as it travels; None where there is nothing to tell. `what` says of what, in a refusal.

    Raises ConfigurationError for what is no such object.
    """
    if meta is None and not inherited:
        return None
    if not isinstance(meta, Mapping | None):
        raise ConfigurationError(
            f'{what}: meta = {meta!r}: give an object, such as {{"sessions": {{}}}}'
        )
    told: dict[str, object] = dict(cast("Mapping[str, object]", meta or {}))
    if inherited:
        told["propagated_sessions"] = dict(inherited)
    try:
        raw = encode_any(told)
        normal_meta(raw)
    except (CodecError, SessionError) as error:
        raise ConfigurationError(f"{what}: meta: {error}") from None
    return raw

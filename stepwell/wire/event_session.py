"""The only place that judges what an event carries beside its data: its `meta`.

That is `meta.sessions`, which are merged, and the trace context of its sender (ours), which
is kept as it is.
"""

from collections.abc import Iterable

import msgspec

from stepwell.wire import limit
from stepwell.wire.canonical import Loose
from stepwell.wire.outside import decode


class SessionError(ValueError):
    """A `meta` that breaks a rule; the text is what the sender is told."""


class _Meta(msgspec.Struct):
    sessions: dict[str, Loose] | msgspec.UnsetType | None = msgspec.UNSET
    propagated_sessions: dict[str, Loose] | None = None
    traceparent: Loose = None
    tracestate: Loose = None

    def trace(self) -> dict[str, Loose]:
        """The sender's trace context; what cannot be one is left out."""
        found = (("traceparent", self.traceparent), ("tracestate", self.tracestate))
        most = limit.TRACE_CONTEXT_CHARS_MAX
        return {k: v for k, v in found if isinstance(v, str) and 0 < len(v) <= most}


_META = msgspec.json.Decoder(_Meta)


def _session_id(key: str, value: Loose) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SessionError(f'event session "{key}" must be a string, number, or null')
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def _checked(sessions: dict[str, Loose]) -> dict[str, str | None]:
    named: dict[str, str | None] = {}
    for key, value in sessions.items():
        session_id = _session_id(key, value)
        if not key or len(key.encode()) > limit.SESSION_KEY_BYTES_MAX:
            raise SessionError(
                f'event session key "{key[:40]}" must have 1 to'
                f" {limit.SESSION_KEY_BYTES_MAX} bytes: shorten it"
            )
        if session_id is not None and len(session_id.encode()) > limit.SESSION_ID_BYTES_MAX:
            raise SessionError(
                f'event session "{key}" is over {limit.SESSION_ID_BYTES_MAX} bytes: shorten it'
            )
        named[key] = session_id
    return named


def normal_meta(raw: msgspec.Raw) -> bytes | None:
    """`meta` of an incoming event with its sessions merged, canonical; None if nothing remains.

    Own sessions win, a null removes an inherited one, inherited ones fill the slots that are left
    in the order of their keys. Raises SessionError.
    """
    if len(raw) > limit.EVENT_META_BYTES_MAX:
        raise SessionError(
            f"event meta is over the max size: Max {limit.EVENT_META_BYTES_MAX} bytes"
            f" / Size {len(raw)} bytes"
        )
    try:
        meta = decode(raw, _META)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise SessionError(
            f'event field "meta" must be {{"sessions": {{"<key>": "<id>"}}}}: {problem}'
        ) from None
    own = _checked(meta.sessions or {}) if meta.sessions is not msgspec.UNSET else {}
    manual = {key: value for key, value in own.items() if value is not None}
    if len(manual) > limit.SESSIONS_PER_EVENT_MAX:
        raise SessionError(
            f"event has {len(manual)} sessions: at most {limit.SESSIONS_PER_EVENT_MAX} are allowed"
        )
    inherited = {} if meta.sessions is None else _checked(meta.propagated_sessions or {})
    for key, value in sorted(inherited.items()):
        if len(manual) < limit.SESSIONS_PER_EVENT_MAX and value is not None and key not in own:
            manual[key] = value
    kept: dict[str, object] = {**meta.trace(), **({"sessions": manual} if manual else {})}
    return msgspec.json.encode(kept, order="sorted") if kept else None


class _Merged(msgspec.Struct):
    sessions: dict[str, str] = msgspec.field(default_factory=dict[str, str])


def run_meta(metas: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """The sessions of a run's events as the `meta` of what is told about the run: those of its
    first event first, at most 25; None if there are none."""
    sessions: dict[str, str] = {}
    for meta in metas:
        for key, session_id in sorted(msgspec.json.decode(meta, type=_Merged).sessions.items()):
            if len(sessions) < limit.SESSIONS_PER_RUN_MAX:
                sessions.setdefault(key, session_id)
    if not sessions:
        return None
    return msgspec.Raw(msgspec.json.encode(_Merged(sessions), order="sorted"))

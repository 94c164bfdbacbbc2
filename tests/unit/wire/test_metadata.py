"""What an update makes of metadata that was known."""

import pytest

from stepwell.wire.metadata import MalformedMetadata, MetadataOp, decode_updates, updated

HUGE = b"1" + b"0" * 400


@pytest.mark.parametrize(
    ("known", "op", "values", "after"),
    [
        (b"", "merge", b'{"a":1}', b'{"a":1}'),
        (b'{"a":1,"b":2}', "merge", b'{"b":{"c":3}}', b'{"a":1,"b":{"c":3}}'),
        (b'{"a":1}', "set", b'{"b":2}', b'{"b":2}'),
        (b'{"a":1,"b":2}', "delete", b'{"a":null,"z":1}', b'{"b":2}'),
        (b"", "delete", b'{"a":null}', b"{}"),
        (b'{"a":1}', "add", b'{"a":2,"b":0.5}', b'{"a":3,"b":0.5}'),
    ],
)
def test_updates(known: bytes, op: MetadataOp, values: bytes, after: bytes) -> None:
    assert updated(known, op, values) == after


@pytest.mark.parametrize(
    ("known", "op", "values"),
    [
        (b'{"a":"x"}', "add", b'{"a":1}'),
        (b"", "add", b'{"a":true}'),
        (b'{"a":1e308}', "add", b'{"a":1e308}'),
        (b'{"a":0.5}', "add", b'{"a":%b}' % HUGE),
        (b"", "add", b'{"a":%b}' % HUGE),
        (b"", "merge", b'{"a":1e999}'),
    ],
)
def test_what_cannot_be_said_is_told_and_never_a_fault(
    known: bytes, op: MetadataOp, values: bytes
) -> None:
    with pytest.raises(MalformedMetadata, match="values"):
        updated(known, op, values)


def test_updates_that_cannot_be_read() -> None:
    for raw in (b"{", b"{}", b'[{"kind":"","values":{}}]', b'[{"kind":"x","op":"y","values":{}}]'):
        with pytest.raises(MalformedMetadata):
            decode_updates(raw)
    (one,) = decode_updates(b'[{"kind":"userland.x","values":{},"scope":"run","more":1}]')
    assert (one.op, one.scope) == ("merge", "run")

"""Long JSON in pieces comes out as it does in one go."""

import json
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import long_json
from stepwell.wire.canonical import canonical, jcs_of_canonical
from stepwell.wire.long_json import (
    canonicalizing,
    decoding,
    done,
    pieces_of_list,
    signing_form,
)
from stepwell.wire.outside import DEPTH_MAX, TooDeep, decode
from tests.stretches import stretches

MILLION = 600_000
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", '"', "\\", '\\"', "[{,", "\U0001f600", "\n", "é"]
)
NUMBERS = st.sampled_from(
    [0, -0.0, 1.0, 1e22, 1e-6, 0.5, 2**53 - 1, 2**53 + 1, 2**64, 10**400, 1e300]
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30
)


def set_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(long_json, "PIECE_BYTES", size)
    monkeypatch.setattr(long_json, "AT_ONCE_BYTES", size)


def said(work: Callable[[], bytes]) -> bytes | None:
    """What comes out, or None where it is refused."""
    try:
        return work()
    except ValueError:
        return None


@given(VALUES, st.booleans(), st.integers(1, 40))
def test_the_form_is_that_of_one_go(value: object, is_spaced: bool, size: int) -> None:
    text = json.dumps(value, ensure_ascii=is_spaced, indent=1 if is_spaced else None).encode()
    with pytest.MonkeyPatch.context() as patch:
        set_pieces(patch, size)
        assert done(canonicalizing(text)) == canonical(text)
        form = canonical(text)
        assert done(signing_form(form)) == jcs_of_canonical(form)
        if isinstance(value, list):
            found = [decode(one, LIST) for one in done(pieces_of_list(form))]
            assert [bytes(raw) for part in found for raw in part] == [
                canonical(r) for r in RAWS(form)
            ]


LIST = msgspec.json.Decoder(list[msgspec.Raw])
RAWS = LIST.decode


@given(VALUES, st.data(), st.integers(1, 40))
def test_what_is_malformed_is_refused_as_it_is_in_one_go(
    value: object, data: st.DataObject, size: int
) -> None:
    text = bytearray(json.dumps(value).encode())
    at = data.draw(st.integers(0, len(text)))
    if data.draw(st.booleans()):
        text[at:at] = data.draw(st.sampled_from([b",", b"[", b"]", b"}", b'"', b":", b" ", b"\\"]))
    else:
        del text[at : at + data.draw(st.integers(0, 4))]
    with pytest.MonkeyPatch.context() as patch:
        set_pieces(patch, size)
        assert said(lambda: done(canonicalizing(bytes(text)))) == said(
            lambda: canonical(bytes(text))
        )


@pytest.mark.parametrize(
    "text",
    [
        b'{"b":1,"a":[1,2,3,4,5,6,7,8],"b":2,"a":[9,10,11,12]}',
        b'{"\xf0\x9f\x98\x80":1,"\xef\xbf\xbf":2,"z":[1,2,3,4,5,6,7]}',
        rb'["\ud83d\ude00","\ud83d","\ude00 and more",{"\ud800 of a key":[1,2,3,4]}]',
        b"[1,2,3,4,,5]",
        b"[1,2,3,4,5,]",
        b"[,1,2,3,4,5]",
        b'{"a":1,"b":2,}',
        b'{"a":1,,"b":2}',
        b'{"a" 1,"b":[1,2,3,4,5]}',
        b"{a:[1,2,3,4,5,6,7,8,9]}",
        b"{1:[1,2,3,4,5,6,7,8,9]}",
        b"[1,2,3,4,5}",
        b"[[1,2,3,4,5,6},1]",
        b"[1,2,3,4,5]]",
        b"[1,2,3,4,5] 6",
        b"[[1,2,3,4,5,6] 7,8]",
        b"[          ]",
        b"{          }",
        b"[          1]",
        b"[" + b"1" * 4301 + b"]",
        b"[1e400,1,2,3,4]",
        b"[NaN,1,2,3,4,5]",
        b'["\xff","abcdefg"]',
    ],
)  # fmt: skip
def test_odd_texts(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 3, 7, 12):
        set_pieces(monkeypatch, size)
        assert said(lambda: done(canonicalizing(text))) == said(lambda: canonical(text))


def test_the_depth_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    set_pieces(monkeypatch, 16)
    deep = b"[" * DEPTH_MAX + b"1,2,3,4,5,6,7,8,9" + b"]" * DEPTH_MAX
    assert done(canonicalizing(deep)) == deep
    assert bytes(done(decoding(deep, msgspec.json.Decoder(msgspec.Raw)))) == deep
    for refused in (b"[" + deep + b"]", b'{"a":[1,2,3,4,5,' + deep + b"]}"):
        with pytest.raises(ValueError, match="more than 250 levels"):
            done(canonicalizing(refused))
        with pytest.raises(TooDeep):
            done(decoding(refused, msgspec.json.Decoder(msgspec.Raw)))


# -- work of one stretch --------------------------------------------------------------------------


def shuffled(count: int) -> bytes:
    keys = list(range(count))
    random.Random(1).shuffle(keys)
    return b"{" + b",".join(b'"%06d":[]' % key for key in keys) + b"}"


def chains() -> bytes:
    """Lists in lists, each of which is longer than a piece."""
    inside = b"[" * 200 + b"1," * 20_000 + b"1" + b"]" * 200
    return b"[" + b",".join([inside] * 10) + b"]"


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"[]," * (MILLION // 2) + b"0]",
        b"[" + b"1.5e17," * 30_000 + b"0]",
        b"[" + b'"",' * (MILLION // 2) + b"0]",
        shuffled(50_000),
        chains(),
    ],
    ids=["lists", "numbers", "texts", "fields", "chains"],
)
def test_no_stretch_takes_a_large_part_of_the_whole(text: bytes) -> None:
    form, seconds = stretches(lambda: canonicalizing(text))
    assert len(form) > MILLION // 4
    assert len(seconds) > 10
    assert max(seconds) < sum(seconds) / 4, sorted(seconds)[-3:]


def test_no_decoder_is_given_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    def watched(raw: bytes) -> bytes:
        nonlocal longest
        longest = max(longest, len(raw))
        return canonical(raw)

    monkeypatch.setattr(long_json, "canonical", watched)
    text = b"[" + b"[1,2,[3,4]]," * 100_000 + b"[" + b"5," * MILLION + b"5]]"
    turns = sum(1 for _ in canonicalizing(text))
    assert turns >= len(text) // long_json.PIECE_BYTES
    assert longest <= long_json.PIECE_BYTES + 2

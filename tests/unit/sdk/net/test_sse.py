"""Events are the same in whatever pieces their bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.sdk.net.sse import TEXT_MAX, Block, Blocks, TooLong

TEXT = (
    b": alive\nid: e-1\n\n"
    b'id: e-2\ndata: {"a":1}\n\n'
    b"event: lost\r\ndata: one\r\ndata:two\r\n\r\n"
    b"data: \xc3\xa9\n\ndata: unfinished"
)
EVENTS = [
    Block("", "", "e-1"),
    Block("", '{"a":1}', "e-2"),
    Block("lost", "one\ntwo", "e-2"),
    Block("", "é", "e-2"),
]


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    blocks, found, begin = Blocks(), list[Block](), 0
    for end in [*sorted(cuts), len(TEXT)]:
        found += blocks.feed(TEXT[begin:end])
        begin = end
    assert found == EVENTS


def test_an_event_that_does_not_end_is_refused() -> None:
    blocks = Blocks()
    with pytest.raises(TooLong):
        for _ in range(3):
            blocks.feed(b"data: " + b"x" * (TEXT_MAX // 2) + b"\n")

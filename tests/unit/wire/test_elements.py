"""The elements of a list, found one after the other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire.elements import TooLong, elements

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(VALUES), st.sampled_from([None, 1, 4]))
def test_they_are_those_of_the_list(values: list[object], indent: int | None) -> None:
    body = json.dumps(values, indent=indent).encode()
    assert [json.loads(bytes(one)) for one in elements(body, 1 << 20)] == values


@given(st.lists(VALUES, min_size=1), st.data())
def test_half_a_list_is_none(values: list[object], data: st.DataObject) -> None:
    body = json.dumps(values).encode()
    half = body[: data.draw(st.integers(1, len(body) - 1))]
    with pytest.raises(ValueError):
        list(elements(half, 1 << 20))


def test_an_element_may_be_so_long() -> None:
    body = b'["' + b"x" * 98 + b'"]'
    assert len(list(elements(body, 100))) == 1
    with pytest.raises(TooLong):
        list(elements(body[:-1] + b",1]", 99))


@pytest.mark.parametrize("body", [b"[1,]", b"[,1]", b"[1 2]", b"[1]x", b"[", b"[1,", b"[]]"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        list(elements(body, 100))

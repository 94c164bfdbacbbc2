"""Where a search of several conditions is wrong is told within the whole of it."""

import pytest

from stepwell.expr.dialect import ExpressionError, compile_search


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("event.data.a ==== 1", (1, 16)),
        ("  event.data.a ==== 1", (1, 18)),
        ("event.data.a == 1\nevent.data.b ==== 2", (2, 16)),
        ("event.data.a == 1\n\n\t event.data.b ==== 2", (3, 18)),
    ],
)
def test_the_place_is_that_of_the_line(source: str, place: tuple[int, int]) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_search(source)
    assert (caught.value.line, caught.value.column) == place
    assert f"(line {place[0]}, column {place[1]})" in str(caught.value)

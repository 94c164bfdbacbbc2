"""Strategies for hypothesis: orders of what may happen in any order. Needs the package hypothesis.

    @given(order=orders())
    def test_any_order(order: Order) -> None:
        with HarnessSync(order=order) as stepwell:
            stepwell.serve(client, [fan_out])
            ...

A failing order is shrunk to the fewest things that have to wait, and printed; hypothesis tries it
first the next time.
"""

from hypothesis import strategies as st

from stepwell.testing.harness.order import TURNS, Order

THINGS_MAX = 60
"""So many calls and steps wait for a drawn while; those after them go at once."""


def orders(*, things_max: int = THINGS_MAX) -> st.SearchStrategy[Order]:
    """Orders for `Harness(order=...)` and `HarnessSync(order=...)`.

    Args:
        things_max: How many calls and steps, counted from the first, may have to wait.

    Raises ValueError for less than one.
    """
    if things_max < 1:
        raise ValueError(f"things_max = {things_max}: at least one thing must be able to wait")
    turns = st.sampled_from(sorted(set(TURNS)))
    return st.lists(turns, max_size=things_max).map(Order)


__all__ = ["orders"]

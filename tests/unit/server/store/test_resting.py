"""Who is roused first behind a key."""

from stepwell.server.store.resting import Resting


def test_whoever_has_waited_longest_comes_first() -> None:
    resting = Resting()
    for queue, since in (("b", 2), ("c", 3), ("a", 1)):
        resting.add(queue, since)
    assert resting.first(0) == (1, "a")
    resting.discard("a")
    assert (resting.first(0), len(resting)) == ((2, "b"), 2)
    resting.discard("b")
    resting.add("b", 9)
    assert resting.first(0) == (3, "c")
    resting.discard("c")
    resting.discard("b")
    assert (resting.first(0), len(resting)) == (None, 0)


def test_it_keeps_nothing_of_those_that_left() -> None:
    resting = Resting()
    for number in range(1_000):
        resting.add("a", number)
        resting.discard("a")
    assert sum(map(len, resting._heaps.values())) < 10


def test_each_bound_has_its_first() -> None:
    resting = Resting()
    for queue, since, bound in (("a", 1, 1), ("b", 2, 3), ("c", 3, 3), ("d", 4, 1)):
        resting.add(queue, since, bound)
    assert [resting.first(bound) for bound in resting.bounds] == [(1, "a"), (2, "b")]
    resting.discard("b")
    resting.add("a", 5, 3)
    assert (resting.first(1), resting.first(3)) == ((4, "d"), (3, "c"))
    resting.discard("d")
    assert (resting.first(1), resting.bounds) == (None, (3,))

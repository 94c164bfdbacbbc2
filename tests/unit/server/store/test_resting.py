"""Who is roused first behind a key."""

from stepwell.server.store.resting import Resting


def test_whoever_has_waited_longest_comes_first() -> None:
    resting = Resting()
    for queue, since in (("b", 2), ("c", 3), ("a", 1)):
        resting.add(queue, since)
    assert resting.first() == (1, "a")
    resting.discard("a")
    assert (resting.first(), len(resting)) == ((2, "b"), 2)
    resting.discard("b")
    resting.add("b", 9)
    assert resting.first() == (3, "c")
    resting.discard("c")
    resting.discard("b")
    assert (resting.first(), len(resting)) == (None, 0)


def test_it_keeps_nothing_of_those_that_left() -> None:
    resting = Resting()
    for number in range(1_000):
        resting.add("a", number)
        resting.discard("a")
    assert len(resting._heap) < 10

"""A share of the interleavings of each race; `python -m tests.flow.races 100000` plays many."""

import pytest

from tests.flow.races import RACES, search

SHARE = 300


def test_D4_an_event_and_the_end_of_its_debounce() -> None:
    assert search("D4", range(SHARE)) == SHARE


def test_B7_an_event_and_the_start_of_its_batch() -> None:
    assert search("B7", range(SHARE)) == SHARE


def test_X6_an_event_that_cancels_between_the_beginning_and_the_first_call() -> None:
    assert search("X6", range(SHARE)) == SHARE


@pytest.mark.parametrize("race", sorted(RACES.keys() - {"D4", "B7", "X6"}))
def test_locks_and_places(race: str) -> None:
    assert search(race, range(SHARE)) == SHARE

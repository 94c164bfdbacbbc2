"""Names of steps: hashes, repetitions, collisions (http.md 6.3 and 10)."""

from stepwell.sdk.step.identity import Names


def test_the_first_has_no_suffix_and_repetitions_count() -> None:
    names = Names()
    found = [names.next("a") for _ in range(3)]
    assert [name.index for name in found] == [0, 1, 2]
    assert [name.hashed for name in found] == [
        "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
        "de89bfaf06245091a7873290a793604612302247",
        "20276a922b7f092ff864f0fedcec18a7ff3bfeab",
    ]
    assert {name.id for name in found} == {"a"}


def test_a_hash_in_use_is_skipped() -> None:
    names = Names()
    hashes = [names.next(step).hashed for step in ("a", "a:1", "a", "a:1", "a", "a:1:1", "a:1")]
    assert len(set(hashes)) == len(hashes)
    assert names.next("a").index > 2


def test_ids_are_independent_of_what_else_was_met() -> None:
    alone, among = Names(), Names()
    for other in ("x", "y", "x"):
        among.next(other)
    assert [alone.next("a") for _ in range(3)] == [among.next("a") for _ in range(3)]


def test_any_text_is_an_id() -> None:
    names = Names()
    assert len({names.next(step).hashed for step in ("", " ", "é", "a\nb", "\ud800")}) == 5

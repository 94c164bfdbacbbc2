"""Ids: the vectors of the protocol, and their order."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import identifier
from stepwell.wire.identifier import Seed

TIMES = st.integers(0, identifier.ULID_TIME_MS_MAX)
RANDOM = st.binary(min_size=10, max_size=10)


@given(TIMES, RANDOM)
def test_a_ulid_carries_its_time(time_ms: int, randomness: bytes) -> None:
    ulid = identifier.ulid_at(time_ms, randomness)
    assert identifier.is_ulid(ulid)
    assert identifier.ulid_time_ms(ulid) == time_ms


@given(TIMES, RANDOM, TIMES, RANDOM)
def test_ulids_are_ordered_like_their_bytes(t1: int, r1: bytes, t2: int, r2: bytes) -> None:
    first, second = identifier.ulid_at(t1, r1), identifier.ulid_at(t2, r2)
    assert (first < second) == ((t1, r1) < (t2, r2))
    assert (first == second) == ((t1, r1) == (t2, r2))


@pytest.mark.parametrize("text", ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0" * 25, "0" * 27, "I" * 26])
def test_what_is_no_ulid(text: str) -> None:
    assert not identifier.is_ulid(text)
    with pytest.raises(ValueError, match="no ULID"):
        identifier.ulid_time_ms(text)


@pytest.mark.parametrize(("time_ms", "entropy"), [(-1, b"0" * 10), (2**48, b"0" * 10), (1, b"0")])
def test_ulids_have_limits(time_ms: int, entropy: bytes) -> None:
    with pytest.raises(ValueError):
        identifier.ulid_at(time_ms, entropy)


@pytest.mark.parametrize(
    ("header", "index", "expected"),
    [
        ("1743130137367,AAAAAAAAAAAAAA==", 1, "01JQDAE4RQ0000000000000001"),
        ("1743130137367,AAAAAAAAAAAAAA==", 2, "01JQDAE4RQ0000000000000002"),
        ("1743130137367,eii2YKXRVTJPuA==", 1, "01JQDAE4RQF8MBCR55T5AK4KXS"),
        ("1743130137367,eii2YKXRVTJPuA==", 2, "01JQDAE4RQF8MBCR55T5AK4KXT"),
        ("1743130137367,eii2YKXRVTJPuA==", 3, "01JQDAE4RQF8MBCR55T5AK4KXV"),
    ],
)
def test_seeded_ids(header: str, index: int, expected: str) -> None:
    seed = identifier.parse_seed(header)
    assert seed is not None
    assert identifier.seeded_ulid(seed, index) == expected
    assert identifier.format_seed(seed) == header


def test_the_tail_of_a_seed_wraps_round() -> None:
    seed = Seed(1, b"abcdef" + b"\xff" * 4)
    assert identifier.seeded_ulid(seed, 1) == identifier.ulid_at(1, b"abcdef" + bytes(4))


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", ",", "x,AAAAAAAAAAAAAA==", "1743130137367", "1743130137367,"),
        *("0,AAAAAAAAAAAAAA==", "-5,AAAAAAAAAAAAAA==", "1743130137367,AAAA"),
        *(
            "1743130137367,AAAAAAAAAAAAA*==",
            "999999999999999,AAAAAAAAAAAAAA==",
            "²,AAAAAAAAAAAAAA==",
        ),
        "1743130137367," + base64.b64encode(b"0" * 11).decode(),
    ],
)
def test_malformed_seeds_count_as_absent(header: str | None) -> None:
    assert identifier.parse_seed(header) is None


@pytest.mark.parametrize(
    ("step_id", "expected"),
    [
        ("a", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("a:1", "de89bfaf06245091a7873290a793604612302247"),
        ("a:2", "20276a922b7f092ff864f0fedcec18a7ff3bfeab"),
        ("step 1", "b436f063682815df5b5fd9780200a9e4e8d4f0b3"),
        ("complete", "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"),
    ],
)
def test_step_hashes(step_id: str, expected: str) -> None:
    assert identifier.step_hash(step_id) == expected


def test_event_key_hash() -> None:
    expected = "5d0ef16ddc80ea26888cd520cffb7b3c118e5c0ddddc278673cfe69e203a093e"
    assert identifier.event_key_hash("test-event-key") == expected


def test_app_ids_are_those_of_the_reference_server() -> None:
    assert identifier.app_uuid("demo") == "32a83486-1530-507c-add7-d97f4316b28b"


def test_function_ids_differ_from_app_ids() -> None:
    assert identifier.function_uuid("demo") != identifier.app_uuid("demo")
    assert identifier.function_uuid("demo-a") == identifier.function_uuid("demo-a")


@given(st.lists(st.text()), st.lists(st.text()))
def test_derived_ids_tell_their_parts_apart(some: list[str], others: list[str]) -> None:
    same = identifier.derived_ulid(5, *some) == identifier.derived_ulid(5, *others)
    assert same == (some == others)

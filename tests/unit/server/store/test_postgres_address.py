"""How the address of a PostgreSQL database is read."""

import pytest

from stepwell.server.store.port import Unavailable
from stepwell.server.store.postgres.connection import Address, address_of, name_of, set_to

HOST = "postgresql://ann:pw@db.example.com/shop"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (HOST, Address(HOST, is_pooled=False)),
        (f"{HOST}?pgbouncer=true", Address(HOST, is_pooled=True)),
        (f"{HOST}?pgbouncer=false", Address(HOST, is_pooled=False)),
        (f"{HOST}?pgbouncer=true&a=b", Address(f"{HOST}?a=b", is_pooled=True)),
        (f"{HOST}?a=b&pgbouncer=true", Address(f"{HOST}?a=b", is_pooled=True)),
        (f"{HOST}?a=b&pgbouncer=true&c=d", Address(f"{HOST}?a=b&c=d", is_pooled=True)),
        ("host=db password=?pgbouncer=true", Address("host=db password=?pgbouncer=true", False)),
    ],
)
def test_a_pooler_is_told_by_the_address(given: str, found: Address) -> None:
    assert address_of(given) == found


def test_a_pooler_has_no_secret_in_messages() -> None:
    assert name_of(f"{HOST}?pgbouncer=true") == "the database 'shop' at db.example.com:5432"


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(Unavailable, match="pgbouncer=yes in the address"):
        address_of(f"{HOST}?pgbouncer=yes")


def test_settings_are_one_statement() -> None:
    found = set_to({"jit": "off", "lock_timeout": "3s"}, once=True)
    assert found == b"SELECT set_config('jit', 'off', True), set_config('lock_timeout', '3s', True)"

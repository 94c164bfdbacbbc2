"""Which addresses the requests of steps may go to."""

import pytest

from stepwell.server.config.network import Networks

INSIDE = (
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0"),
    *("fc00::1", "fd12::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"),
)
OUTSIDE = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808")


@pytest.mark.parametrize("address", INSIDE)
def test_internal_addresses(address: str) -> None:
    networks = Networks.of(["internal"], [])
    assert networks is not None
    assert not networks.may_reach(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses(address: str) -> None:
    networks = Networks.of(["internal"], [])
    assert networks is not None
    assert networks.may_reach(address)


def test_lists_of_ones_own() -> None:
    networks = Networks.of(["internal", "1.1.0.0/16"], ["10.1.0.0/16", "1.1.1.1"])
    assert networks is not None
    assert [networks.may_reach(a) for a in ("10.1.9.9", "1.1.1.1", "1.2.3.4")] == [True] * 3
    assert [networks.may_reach(a) for a in ("10.2.0.1", "1.1.1.2")] == [False] * 2


def test_nothing_denied_is_nothing_to_ask() -> None:
    assert Networks.of([], []) is None
    assert Networks.of(["none"], ["10.0.0.0/8"]) is None

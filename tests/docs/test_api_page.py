"""The page of the REST API is the one that its document makes."""

from stepwell.server.api.v1.routes import described as described_v1
from stepwell.server.api.v2.routes import described
from tools.api_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    made = page(described(), described_v1())
    assert PAGE.read_text() == made, "write it anew: python -m tools.api_page"


def test_shapes_have_names_of_their_own() -> None:
    """Two of one name would be told apart by where they are in the code."""
    for made in (described(), described_v1()):
        names = made["components"]["schemas"]
        assert [name for name in names if "." in name] == []

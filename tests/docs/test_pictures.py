"""The pictures of the dashboard: each is there, as large as it is said to be, light to load, and
shown on its page."""

import struct
from pathlib import Path

import pytest

from tools.dashboard_pictures import FOLDER, PICTURES, Picture

PAGE = Path(__file__).resolve().parents[2] / "docs/dashboard.md"
BYTES_MAX = 200_000
_HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_is_there_and_shown(picture: Picture) -> None:
    content = (FOLDER / f"{picture.name}.png").read_bytes()
    assert content.startswith(_HEAD)
    assert struct.unpack(">II", content[16:24]) == picture.size
    assert 5_000 < len(content) < BYTES_MAX
    assert f"](pictures/{picture.name}.png)" in PAGE.read_text(encoding="utf-8")


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {picture.name for picture in PICTURES}
    assert len(PICTURES) == 12

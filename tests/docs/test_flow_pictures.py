"""The pictures of the page on flow control are what the engine does today."""

import pytest

from tools.flow_pictures import END, PAGE, SCENES, Scene, begin, block

HOW = "run python -m tools.flow_pictures --write and look at what changed"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_the_picture_is_current(scene: Scene) -> None:
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(begin(scene.name))
    assert found, f"the page has no place for it: {HOW}"
    assert rest.partition(END)[0] == block(scene), HOW


def test_the_page_has_no_other_pictures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(END) == text.count("<!-- picture: ") == len(SCENES)

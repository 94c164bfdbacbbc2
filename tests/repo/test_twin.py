"""The step tools of plain handlers say what those of coroutine handlers say."""

from tools.step_twin import TWIN, twin


def test_the_twin_is_as_it_is_written() -> None:
    assert TWIN.read_text(encoding="utf-8") == twin(), "run: python -m tools.step_twin"

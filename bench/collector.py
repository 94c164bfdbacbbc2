"""Python's collector, as docs/performance.md says for an app under load: in every process of Python
that is measured, ours and the peers', so that nobody is compared with somebody's defaults."""

import gc


def look_seldom() -> None:
    """Once everything is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

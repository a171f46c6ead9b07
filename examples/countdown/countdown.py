import time
from collections.abc import Iterator


def countdown(start: int = 3, pause: float = 0.2) -> Iterator[str]:
    """Counts down, one line at a time."""
    for left in range(start, 0, -1):
        yield f"{left}\n"
        time.sleep(pause)
    yield "lift-off\n"

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """Also in a run in the background or under `nohup`, which ignores some: tests send them to themselves."""
    for kind, handler in HANDLERS.items():
        if signal.getsignal(kind) is signal.SIG_IGN:
            signal.signal(kind, handler)


@pytest.fixture(autouse=True)
def signals_stay_as_they_were(signals_are_heard: None) -> Iterator[None]:
    """A program's `main` that a test calls sets them for the rest of its process, which is this one."""
    before = {kind: signal.getsignal(kind) for kind in HANDLERS}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return Path(__file__).resolve().parent.parent

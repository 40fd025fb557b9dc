"""Being told to stop while something must not be left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a batch system, a terminal that is gone


class Interrupts:
    """While entered, a signal to stop is remembered instead of obeyed, however often it comes.

    One that the process was started to ignore (`nohup`, a shell's background) stays ignored.
    """

    def __init__(self) -> None:
        self.asked = False
        self._obeys = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            for kind in SIGNALS:
                if signal.getsignal(kind) is not signal.SIG_IGN:
                    self._before[kind] = signal.signal(kind, self._remember)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler)  # type: ignore[arg-type]
        self._before.clear()
        if self.asked and failure is None:  # it came when nothing looked any more: late, and not forgotten
            raise KeyboardInterrupt

    @contextmanager
    def obeyed(self) -> Iterator[None]:
        """For work that changes nothing and may take long: a signal breaks it off.

        Raises:
            KeyboardInterrupt: If one came before or comes meanwhile.
        """
        self._obeys = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._obeys = False

    def _remember(self, _: int, __: FrameType | None) -> None:
        self.asked = True
        if self._obeys:
            self._obeys = False  # once: what cleans up on the way out is not broken off as well
            raise KeyboardInterrupt

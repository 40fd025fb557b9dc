import os
import signal

import pytest

from stages.engine.training.interrupts import Interrupts


def send(kind=signal.SIGTERM):
    os.kill(os.getpid(), kind)


@pytest.fixture(autouse=True)
def as_a_stage_has_it():
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_is_remembered_and_breaks_nothing_off():
    interrupts = Interrupts()

    with pytest.raises(KeyboardInterrupt):
        late(interrupts)

    assert interrupts.asked


def late(interrupts):
    with interrupts:
        send()
        assert interrupts.asked, "it went on behind the signal"


def test_one_that_nothing_looked_at_is_obeyed_at_the_end():
    with pytest.raises(KeyboardInterrupt):
        late(Interrupts())
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def failing(interrupts):
    with interrupts:
        send()
        raise ValueError("of its own")


def test_what_failed_meanwhile_is_told_and_not_the_signal():
    with pytest.raises(ValueError, match="of its own"):
        failing(Interrupts())


def test_without_a_signal_nothing_is_raised_and_the_handlers_are_those_of_before():
    with Interrupts() as interrupts:
        assert signal.getsignal(signal.SIGTERM) != signal.default_int_handler

    assert not interrupts.asked
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def broken_off(interrupts):
    with interrupts, interrupts.obeyed():
        send()
        pytest.fail("it went on")


def test_long_work_that_changes_nothing_is_broken_off_at_once():
    with pytest.raises(KeyboardInterrupt):
        broken_off(Interrupts())

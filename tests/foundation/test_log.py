import io
import json

import pytest

from stages.foundation import log
from stages.foundation.log import Progress, duration, followed, tell


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(log, "time", made)
    return made


def test_in_a_log_long_work_tells_how_far_it_is_every_half_minute(clock, capsys):
    with Progress("epoch 2/5", 2000, unit="steps", done=400) as progress:
        for done in range(420, 1400, 20):
            clock.now += 1
            progress.show(done, "loss 0.312, 480 samples/s")

    assert capsys.readouterr().out.splitlines() == [
        "  epoch 2/5: 1,000 of 2,000 steps, loss 0.312, 480 samples/s, about 50 s left",
    ]


def test_work_that_ends_soon_says_nothing_in_a_log(clock, capsys):
    with Progress("predicting", 3, unit="batches") as progress:
        for done in (1, 2, 3):
            clock.now += 9
            progress.show(done)

    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_is_a_bar_that_goes_away(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(log, "BAR_SECONDS", 0.0)
    with Progress("epoch 1/2", 40, unit="steps", done=10) as progress:
        progress._bar.mininterval = 0
        progress.show(20, "loss 0.5")

    *shown, _, last = terminal.getvalue().split("\r")
    assert "epoch 1/2:  50%" in shown[-1]
    assert "20/40" in shown[-1]
    assert "loss 0.5" in shown[-1]
    assert last == ""
    assert capsys.readouterr().out == ""


def test_a_run_is_followed_by_a_file_that_is_rewritten_and_gone_in_the_end(tmp_path):
    file = tmp_path / "live/training.json"
    with followed(file):
        tell({"live_epoch": 0})
        tell({"live_epoch": 1, "live_val_loss": 0.5})
        assert json.loads(file.read_text()) == {"live_epoch": 1, "live_val_loss": 0.5}
    tell({"live_epoch": 2})

    assert not file.exists()


def test_where_there_is_no_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with followed(None):
        tell({"live_epoch": 0})

    assert not list(tmp_path.iterdir())


def test_the_file_is_gone_also_when_the_work_failed(tmp_path):
    file = tmp_path / "training.json"

    def fail():
        with followed(file):
            tell({"live_epoch": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with followed(tmp_path / "file/training.json"):
        tell({"live_epoch": 0})
        tell({"live_epoch": 1})

    assert capsys.readouterr().out.count("cannot be written, so this run cannot be followed by it") == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (12000, "3 h 20 min")]
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words

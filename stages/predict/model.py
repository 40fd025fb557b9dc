"""The model that predicts: where it is found, and what it says of texts."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from stages.engine.models.record import FILE as RECORD
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import Split
from stages.methods import load
from stages.methods.method import Classifier
from stages.predict.experiments import fetched
from stages.scoring.calibration import WIDEST_INTERVAL, Calibrator, read_calibrator, scaled_probabilities

BATCH_TOKENS = 16_384  # padded tokens of a forward pass; changes speed and memory, not what is predicted
MOST_SPECIAL = 4  # tokens that a template adds; every other token is a byte of the text or more
UNSURE, UNPROVEN, NO_TEXT = "unsure", "class unproven", "no text"  # why a row is flagged
FLAGS = {
    (False, False): None,
    (True, False): UNSURE,
    (False, True): UNPROVEN,
    (True, True): f"{UNSURE}, {UNPROVEN}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What a model says of N texts."""

    labels: list[str | None]  # name of the most probable class; None where there is no text
    probabilities: NDArray[np.float64]  # (N, C), calibrated; NaN where there is no text
    flags: list[str | None]  # why somebody should look at the row; None: nothing speaks against it
    rows_cut: int  # texts that were too long to be read to their end


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A classifier and what validation said of its probabilities."""

    name: str  # for people
    classifier: Classifier
    calibrator: Calibrator | None  # None: trained before there was one

    @property
    def label_names(self) -> list[str]:
        """Name of each class index."""
        return self.classifier.record.label_names

    @property
    def most_read(self) -> int:
        """Tokens of a text that it reads, special ones included; 0: all."""
        return self.classifier.record.max_tokens

    def predict(self, texts: Sequence[str], second: Sequence[str] | None = None) -> Predictions:
        """Predict texts, or pairs of texts, in batches of like length.

        Args:
            texts: N texts; one without a word has no class.
            second: N second texts, of a model of pairs.
        """
        names = self.label_names
        seconds = [""] * len(texts) if second is None else second
        there = np.array([bool(first.strip() or other.strip()) for first, other in zip(texts, seconds, strict=True)])
        probabilities = np.full((len(texts), len(names)), np.nan)
        rows, rows_cut = np.flatnonzero(there), 0
        if len(rows):
            split = Split(
                row_ids=rows,
                sentences=[texts[row] for row in rows.tolist()],
                labels=np.zeros(len(rows), dtype=np.int64),  # not known, and not looked at
                label_names=tuple(names),
                second=None if second is None else [second[row] for row in rows.tolist()],
            )
            logits = self.classifier.predict(split, BATCH_TOKENS)
            temperature = 1.0 if self.calibrator is None else self.calibrator.temperature
            probabilities[rows] = scaled_probabilities(logits, temperature)
            rows_cut = self._rows_cut(split)
        best = np.where(there, np.nan_to_num(probabilities, nan=0.0).argmax(axis=1), -1)
        return Predictions(
            labels=[names[index] if index >= 0 else None for index in best.tolist()],
            probabilities=probabilities,
            flags=self._flags(best, probabilities),
            rows_cut=rows_cut,
        )

    def _rows_cut(self, split: Split) -> int:
        """How many texts are too long; only those long enough to be are cut into tokens for it."""
        if not self.most_read:
            return 0
        seconds = [""] * len(split) if split.second is None else split.second
        texts = [first + second for first, second in zip(split.sentences, seconds, strict=True)]
        long = [at for at, text in enumerate(texts) if len(text.encode()) > self.most_read - MOST_SPECIAL]
        return self.classifier.lengths(split.take(np.array(long))).rows_cut if long else 0

    def _flags(self, best: NDArray[np.int64], probabilities: NDArray[np.float64]) -> list[str | None]:
        """By row, why somebody should look at it; `best` is (N,) class index, -1 where there is no text."""
        unsure, unproven = np.zeros((2, len(best)), dtype=np.bool_)
        if self.calibrator is not None:
            unsure = self.calibrator.is_unsure(probabilities)
            unproven = self.calibrator.is_unproven()[best]
        flags = [FLAGS[one] for one in zip(unsure.tolist(), unproven.tolist(), strict=True)]
        return [NO_TEXT if index < 0 else flag for flag, index in zip(flags, best.tolist(), strict=True)]

    def told(self) -> list[str]:
        """What it is and when it flags, in lines for people."""
        record, found = self.classifier.record, self.calibrator
        base = f" on {record.base.name}" if record.base else ""
        lines = [f"{self.name}: {record.method}{base}, {len(self.label_names)} classes"]
        if found is None:
            return [
                *lines,
                "it was trained before calibrations were saved: probabilities are as it gives them, and no row is "
                "flagged as unsure; train it again for both",
            ]
        if found.flag_below is None:
            rule = "every row: on validation no probability told right from wrong"
        else:
            rule = (
                f"below a probability of {found.flag_below:.4f}: of the {found.unflagged_rows:,} of "
                f"{found.validation_rows:,} validation rows above, {found.unflagged_accuracy:.1%} "
                f"[{found.unflagged_accuracy_low:.1%}, {found.unflagged_accuracy_high:.1%}] were right, "
                f"of all {found.validation_accuracy:.1%}"
            )
        lines.append(f"flagged as {UNSURE}, {rule}")
        unproven = [one.name for one, is_wide in zip(found.classes, found.is_unproven(), strict=True) if is_wide]
        if unproven:
            shown = ", ".join(unproven[:5]) + (f" and {len(unproven) - 5} more" if len(unproven) > 5 else "")
            lines.append(
                f"flagged as {UNPROVEN}: {shown}: too few validation rows to say within {100 * WIDEST_INTERVAL:.0f} "
                "points how often such a prediction is right"
            )
        return lines


def load_model(folder: Path, name: str) -> Model:
    """The model in a folder.

    Raises:
        StudyError: If there is none that `train` wrote, or it can't be loaded.
    """
    if not (folder / RECORD).is_file():
        way = "run `dvc repro` first" if folder == paths.MODEL else "give a folder that the stage train wrote"
        raise StudyError(f"{name} holds no model, there is no {RECORD} in it; {way}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about each other
            return Model(name=name, classifier=load(folder, "auto"), calibrator=read_calibrator(folder))
    except SafetensorError as error:
        raise StudyError(f"{name}: its weights are damaged ({error}); fetch or train it again") from None


@contextmanager
def found_model(folder: Path | None, experiment: str | None) -> Iterator[Model]:
    """The model of a folder or of an experiment; of neither, that of the workspace.

    Raises:
        StudyError: If it is not there.
    """
    if experiment is None:
        yield load_model(folder or paths.MODEL, str(folder or paths.MODEL))
        return
    with fetched(experiment, [paths.MODEL]) as place:
        yield load_model(place / paths.MODEL, f"experiment {experiment}")

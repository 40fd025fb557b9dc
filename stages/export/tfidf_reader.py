"""Reads the folder that this file lies in: logistic regression on TF-IDF weights, with numpy and safetensors alone.

    from tfidf_reader import TfidfReader
    reader = TfidfReader(".")
    reader.classify(["a text"])    # names of classes
    reader.logits(["a text"])      # (N, C) float64

A text is put in lower case and cut at white space; its features are words and runs of words. A feature that occurs n
times weighs (1 + ln n) times its inverse document frequency, and the weights of a text are scaled to length 1. Of a
pair of texts, a tuple of two, the features of either bear its number, `1 good` and `2 good`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Text = str | tuple[str, str]


class TfidfReader:
    """Weights and names, as they lie in a folder."""

    def __init__(self, folder: str | Path) -> None:
        features = json.loads((Path(folder) / "features.json").read_text(encoding="utf-8"))
        names = json.loads((Path(folder) / "classifier.json").read_text(encoding="utf-8"))["label_names"]
        self.label_names: list[str] = names
        self._columns = {run: column for column, run in enumerate(features["runs"])}
        self._longest_run: int = features["longest_run"]
        self._weights: dict[str, Any] = load_file(Path(folder) / "tfidf.safetensors")

    def logits(self, texts: Sequence[Text]) -> Any:
        """(N, C) float64 logits."""
        scores = np.stack([self._scores(text) for text in texts])
        if scores.shape[1] == 1:  # two classes: the logit of the second against the first
            return np.concatenate([-scores / 2, scores / 2], axis=1)
        return scores

    def classify(self, texts: Sequence[Text]) -> list[str]:
        """The name of each text's class."""
        return [self.label_names[index] for index in self.logits(texts).argmax(axis=1)]

    def _scores(self, text: Text) -> Any:
        counts = Counter(run for run in self._runs(text) if run in self._columns)
        columns = [self._columns[run] for run in counts]
        numbers = np.array(list(counts.values()), dtype=np.float64)
        weights = (1 + np.log(numbers)) * self._weights["inverse_frequency"][columns]
        if columns:
            weights /= np.sqrt((weights**2).sum())
        return self._weights["coefficients"][:, columns] @ weights + self._weights["intercepts"]

    def _runs(self, text: Text) -> list[str]:
        if not isinstance(text, str):
            return [f"{at} {run}" for at, part in enumerate(text, start=1) for run in self._runs(part)]
        words = re.findall(r"\S+", text.lower())
        lengths = range(1, self._longest_run + 1)
        return [" ".join(words[at : at + length]) for length in lengths for at in range(len(words) - length + 1)]

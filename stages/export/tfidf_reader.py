"""Reads the folder that this file lies in: logistic regression on TF-IDF weights, with numpy and safetensors alone.

    from tfidf_reader import TfidfReader
    reader = TfidfReader(".")
    reader.classify(["a text"])    # names of classes
    reader.logits(["a text"])      # (N, C) float64

A text is put in lower case and cut at white space; its features are words and runs of words. A feature that occurs n
times weighs (1 + ln n) times its inverse document frequency, and the weights of a text are scaled to length 1.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


class TfidfReader:
    """Weights and names, as they lie in a folder."""

    def __init__(self, folder: str | Path) -> None:
        features = json.loads((Path(folder) / "features.json").read_text(encoding="utf-8"))
        names = json.loads((Path(folder) / "classifier.json").read_text(encoding="utf-8"))["label_names"]
        self.label_names: list[str] = names
        self._columns = {run: column for column, run in enumerate(features["runs"])}
        self._longest_run: int = features["longest_run"]
        self._weights: dict[str, Any] = load_file(Path(folder) / "tfidf.safetensors")

    def logits(self, texts: Sequence[str]) -> Any:
        """(N, C) float64 logits."""
        scores = np.stack([self._scores(text) for text in texts])
        if scores.shape[1] == 1:  # two classes: the logit of the second against the first
            return np.concatenate([-scores / 2, scores / 2], axis=1)
        return scores

    def classify(self, texts: Sequence[str]) -> list[str]:
        """The name of each text's class."""
        return [self.label_names[index] for index in self.logits(texts).argmax(axis=1)]

    def _scores(self, text: str) -> Any:
        words = re.findall(r"\S+", text.lower())
        runs = Counter(
            " ".join(words[start : start + length])
            for length in range(1, self._longest_run + 1)
            for start in range(len(words) - length + 1)
        )
        known = {self._columns[run]: number for run, number in runs.items() if run in self._columns}
        columns, numbers = list(known), np.array(list(known.values()), dtype=np.float64)
        weights = (1 + np.log(numbers)) * self._weights["inverse_frequency"][columns]
        if columns:
            weights /= np.sqrt((weights**2).sum())
        return self._weights["coefficients"][:, columns] @ weights + self._weights["intercepts"]

"""Logistic regression on TF-IDF: the row of the study that needs no model, no accelerator and no minute.

Source: scikit-learn's TfidfVectorizer and LogisticRegression (Pedregosa et al. 2011).
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from stages.engine.params import TfidfParams, TrainParams
from stages.engine.record import Record, read_record, write_record
from stages.engine.training.history import Epoch
from stages.engine.training.loop import Fit, loss_and_accuracy
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from stages.foundation.log import say
from stages.foundation.split import Split

WEIGHTS = "tfidf.safetensors"
FEATURES = "features.json"
TOKEN = r"\S+"  # SST-2 has spaces around "!" and "n't", which say much
MAX_ITERATIONS = 1000  # of the optimizer, which stops far earlier


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfClassifier:
    """Logits that are linear in the TF-IDF weights of words and runs of words."""

    vectorizer: TfidfVectorizer
    regression: LogisticRegression
    label_names: tuple[str, ...]

    @property
    def record(self) -> Record:
        """What the fitted classifier is."""
        num_weights = self.regression.coef_.size + self.regression.intercept_.size
        return Record(
            method="tfidf",
            label_names=list(self.label_names),
            trainable_parameters=num_weights,
            total_parameters=num_weights,
            engine="scikit-learn",
            precision="fp64",
            max_tokens=0,
            base=None,
        )

    def fit(
        self,
        train: Split,
        validation: Split,
        params: TrainParams,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        checkpoints: Path | None = None,  # noqa: ARG002 - it is over before one is due
    ) -> Fit:
        """Fit to the training rows; the optimum is unique, so that no seed and no validation row takes part.

        Raises:
            StudyError: If a class does not occur among the training rows.
        """
        if len(np.unique(train.labels)) < len(self.label_names):
            raise StudyError("method tfidf needs training rows of every class: raise samples, or draw them balanced")
        started = time.perf_counter()
        self.regression.fit(self.vectorizer.fit_transform(train.sentences), train.labels)
        seconds = time.perf_counter() - started
        train_loss, train_accuracy = loss_and_accuracy(self.predict(train), train.labels)
        val_loss, val_accuracy = loss_and_accuracy(self.predict(validation), validation.labels)
        say(f"  validation loss {val_loss:.4f}, accuracy {val_accuracy:.4f}")
        epoch = Epoch(
            epoch=1,
            train_loss=train_loss,
            val_loss=val_loss,
            train_accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            learning_rate=0.0,
        )
        return Fit(history=[epoch], train_seconds=seconds, samples_per_second=len(train) / seconds)

    def predict(self, split: Split, batch_size: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """(N, C) float32 logits, in the order of the rows; all at once, whatever the batch size."""
        scores = self.regression.decision_function(self.vectorizer.transform(split.sentences))
        if scores.ndim == 1:  # two classes: the logit of the second against the first
            scores = np.stack([-scores / 2, scores / 2], axis=1)
        logits: NDArray[np.float32] = scores.astype(np.float32)
        return logits

    def save(self, folder: Path) -> None:
        """Write features and weights: no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            "inverse_frequency": self.vectorizer.idf_,
            # scikit-learn lays three classes and more out in columns; safetensors would take them for rows
            "coefficients": np.ascontiguousarray(self.regression.coef_),
            "intercepts": self.regression.intercept_,
        }
        features = {
            "longest_run": self.vectorizer.ngram_range[1],
            "runs": self.vectorizer.get_feature_names_out().tolist(),
        }
        save_file(weights, folder / WEIGHTS)
        write_json(folder / FEATURES, features)
        write_record(folder, self.record)


def build_tfidf_classifier(params: TfidfParams, label_names: tuple[str, ...]) -> TfidfClassifier:
    """A classifier that has learned nothing yet."""
    return TfidfClassifier(
        vectorizer=_vectorizer(params.max_ngram),
        regression=LogisticRegression(C=params.inverse_regularization, max_iter=MAX_ITERATIONS),
        label_names=label_names,
    )


def load_tfidf_classifier(folder: Path) -> TfidfClassifier:
    """What `TfidfClassifier.save` wrote."""
    record, features, weights = read_record(folder), read_json(folder / FEATURES), load_file(folder / WEIGHTS)
    vectorizer = _vectorizer(features["longest_run"], vocabulary=features["runs"])
    vectorizer.idf_ = weights["inverse_frequency"]
    regression = LogisticRegression()
    regression.classes_ = np.arange(len(record.label_names))
    regression.coef_, regression.intercept_ = weights["coefficients"], weights["intercepts"]
    return TfidfClassifier(vectorizer=vectorizer, regression=regression, label_names=tuple(record.label_names))


def _vectorizer(longest_run: int, vocabulary: list[str] | None = None) -> TfidfVectorizer:
    return TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, longest_run), sublinear_tf=True, vocabulary=vocabulary)

"""Logistic regression on TF-IDF: the row of the study that needs no model, no accelerator and no minute.

Source: scikit-learn's TfidfVectorizer and LogisticRegression (Pedregosa et al. 2011).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stages.engine.lengths import READ_WHOLE, TextLengths
from stages.engine.models.record import Record, read_record, write_record
from stages.engine.params import Device, TrainParams
from stages.engine.training.history import Epoch, Fit
from stages.foundation.errors import StudyError, check_param
from stages.foundation.files import read_json, write_json
from stages.foundation.log import say
from stages.foundation.split import Split
from stages.foundation.workers import Workers
from stages.methods.method import Classifier, Computation, Look, Method, MethodView, Words

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

NAME = "tfidf"
VERSION = 1  # of its numbers
COMPUTATION = Computation(precision="fp64", engine="scikit-learn", device="cpu")
WEIGHTS = "tfidf.safetensors"
FEATURES = "features.json"
TOKEN = r"\S+"  # SST-2 has spaces around "!" and "n't", which say much
MAX_ITERATIONS = 1000  # of the optimizer, which stops far earlier


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfParams:
    """Logistic regression on TF-IDF weights of words and their neighbours; no base model."""

    max_ngram: int  # longest run of words that is a feature
    inverse_regularization: float  # scikit-learn's C: larger fits the training rows more closely

    def __post_init__(self) -> None:
        check_param(self.max_ngram >= 1, f"train.tfidf.max_ngram must be at least 1, got {self.max_ngram}")
        strength = self.inverse_regularization
        check_param(strength > 0, f"train.tfidf.inverse_regularization must be above 0, got {strength}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfClassifier:
    """Logits that are linear in the TF-IDF weights of words and runs of words."""

    vectorizer: "TfidfVectorizer"
    regression: "LogisticRegression"
    label_names: tuple[str, ...]

    @property
    def record(self) -> Record:
        """What the fitted classifier is."""
        num_weights = self.regression.coef_.size + self.regression.intercept_.size
        return Record(
            method=NAME,
            method_version=VERSION,
            label_names=list(self.label_names),
            trainable_parameters=num_weights,
            total_parameters=num_weights,
            engine=COMPUTATION.engine,
            precision="fp64",
            max_tokens=0,
            base=None,
            reading=None,
        )

    def fit(
        self,
        train: Split,
        validation: Split,
        params: TrainParams,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        checkpoints: Path | None = None,  # noqa: ARG002 - it is over before one is due
        workers: Workers | None = None,  # noqa: ARG002 - there is no other
    ) -> Fit:
        """Fit to the training rows; the optimum is unique, so that no seed and no validation row takes part.

        Raises:
            StudyError: If a class does not occur among the training rows.
        """
        if len(np.unique(train.labels)) < len(self.label_names):
            raise StudyError("method tfidf needs training rows of every class: raise samples, or draw them balanced")
        started = time.perf_counter()
        self.regression.fit(self.vectorizer.fit_transform(_documents(train)), train.labels)
        seconds = time.perf_counter() - started
        train_loss, train_accuracy = _loss_and_accuracy(self.predict(train), train.labels)
        logits = self.predict(validation)
        val_loss, val_accuracy = _loss_and_accuracy(logits, validation.labels)
        say(f"  validation loss {val_loss:.4f}, accuracy {val_accuracy:.4f}")
        epoch = Epoch(
            epoch=1,
            train_loss=train_loss,
            val_loss=val_loss,
            train_accuracy=train_accuracy,
            val_accuracy=val_accuracy,
            learning_rate=0.0,
        )
        return Fit(
            history=[epoch],
            validation_logits=logits[None],
            train_seconds=seconds,
            samples_per_second=len(train) / seconds,
        )

    def predict(self, split: Split, batch_tokens: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """(N, C) float32 logits, in the order of the rows; all at once, whatever the budget."""
        scores = self.regression.decision_function(self.vectorizer.transform(_documents(split)))
        if scores.ndim == 1:  # two classes: the logit of the second against the first
            scores = np.stack([-scores / 2, scores / 2], axis=1)
        logits: NDArray[np.float32] = scores.astype(np.float32)
        return logits

    def lengths(self, split: Split) -> TextLengths:  # noqa: ARG002
        """Of words it reads all."""
        return READ_WHOLE

    def save(self, folder: Path) -> None:
        """Write features and weights: no pickle."""
        from safetensors.numpy import save_file

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


def _build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    own: TfidfParams = params.own
    return TfidfClassifier(
        vectorizer=_vectorizer(own.max_ngram),
        regression=LogisticRegression(C=own.inverse_regularization, max_iter=MAX_ITERATIONS),
        label_names=label_names,
    )


def _load(folder: Path, device: Device) -> Classifier:  # noqa: ARG001 - scikit-learn runs on the CPU alone
    from safetensors.numpy import load_file
    from sklearn.linear_model import LogisticRegression

    record, features, weights = read_record(folder), read_json(folder / FEATURES), load_file(folder / WEIGHTS)
    vectorizer = _vectorizer(features["longest_run"], vocabulary=features["runs"])
    vectorizer.idf_ = weights["inverse_frequency"]
    regression = LogisticRegression()
    regression.classes_ = np.arange(len(record.label_names))
    regression.coef_, regression.intercept_ = weights["coefficients"], weights["intercepts"]
    return TfidfClassifier(vectorizer=vectorizer, regression=regression, label_names=tuple(record.label_names))


def _documents(split: Split) -> Sequence[str | tuple[str, str]]:
    return split.sentences if split.second is None else list(zip(split.sentences, split.second, strict=True))


def _vectorizer(longest_run: int, vocabulary: list[str] | None = None) -> "TfidfVectorizer":
    """Of single texts scikit-learn's own; of pairs, runs of words in the one and in the other are features apart.

    So the question may decide one way and the sentence the other, and no run crosses from text to text.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    class PairVectorizer(TfidfVectorizer):  # type: ignore[misc]
        def build_analyzer(self) -> Callable[[str | tuple[str, str]], list[str]]:
            runs_of: Callable[[str], list[str]] = super().build_analyzer()

            def features(document: str | tuple[str, str]) -> list[str]:
                if isinstance(document, str):
                    return runs_of(document)
                return [f"{at} {run}" for at, text in enumerate(document, start=1) for run in runs_of(text)]

            return features

    return PairVectorizer(token_pattern=TOKEN, ngram_range=(1, longest_run), sublinear_tf=True, vocabulary=vocabulary)


def _loss_and_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) of logits (N, C) against labels (N,), summed in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def _own_rows(tfidf: TfidfParams) -> list[list[str]]:
    return [
        ["features", f"TF-IDF weights; longest run of words: {tfidf.max_ngram}"],
        ["regularization", f"C = {tfidf.inverse_regularization:g}"],
    ]


METHOD = Method(
    name=NAME,
    version=VERSION,
    params=TfidfParams,
    reads=(),
    computation=COMPUTATION,
    implied={},
    tuned="inverse_regularization",
    by_steps=False,
    look=Look(color="#6b6f75", marker="D", dash=(1, 1.2)),
    words=Words(
        title="logistic regression, no model",
        classifier="logistic regression on TF-IDF weights",
        curves="Logistic regression has no epochs: both values are taken once, of the fitted weights.",
        own_rows=_own_rows,
    ),
    build=_build,
    load=_load,
)

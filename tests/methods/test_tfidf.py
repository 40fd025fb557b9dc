"""The method without a model: scikit-learn's pipeline, saved without a pickle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline

from stages.foundation.errors import StudyError
from stages.foundation.split import Split
from stages.methods import TrainView, build, load
from stages.methods.tfidf import _loss_and_accuracy as loss_and_accuracy
from tests.engine.conftest import PARAMS, opinions
from tests.methods.conftest import MOODS, learn, moods


@pytest.mark.parametrize("rows", [opinions, moods])
def test_tfidf_is_scikit_learns_own_pipeline(fresh, tmp_path, rows):
    classifier, test = fresh("tfidf", rows(1).label_names), rows(50, seed=2)
    learn(classifier, rows)
    classifier.save(tmp_path)
    theirs = make_pipeline(
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    theirs.fit(rows(200).sentences, rows(200).labels)

    for ours in (classifier, load(tmp_path, "cpu")):
        probabilities = softmax(ours.predict(test, 64).astype(np.float64), axis=1)
        np.testing.assert_allclose(probabilities, theirs.predict_proba(test.sentences), rtol=0, atol=1e-6)


def test_tfidf_without_a_row_of_some_class_is_one_clear_line(fresh):
    classifier = fresh("tfidf", MOODS)
    rows = moods(60).take(np.flatnonzero(moods(60).labels != 2))

    with pytest.raises(StudyError) as caught:
        classifier.fit(rows, moods(12), PARAMS, seed=0)
    assert str(caught.value) == (
        "method tfidf needs training rows of every class: raise samples, or draw them balanced"
    )


def who_is_good(num_rows, *, seed=0):
    """Pairs that hold the same words, and whose class is which of the two texts is the good one."""
    split = opinions(num_rows, seed=seed)
    other = [
        " ".join("bad" if word == "good" else "good" if word == "bad" else word for word in text.split())
        for text in split.sentences
    ]
    return replace(split, second=other)


def fitted(sentences, labels, second=None, **own):
    """A classifier and the rows it learned from."""
    tfidf = replace(PARAMS.tfidf, **own)
    names = tuple(f"class {at}" for at in range(max(labels) + 1))
    view = TrainView(seed=0, model="", method="tfidf", train=replace(PARAMS, tfidf=tfidf))
    rows = Split(
        row_ids=np.arange(len(labels)),
        sentences=list(sentences),
        labels=np.array(labels),
        label_names=names,
        second=second,
    )
    classifier = build(view, names)
    return classifier, rows, classifier.fit(rows, rows, PARAMS, seed=0)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(sentences=st.lists(WORDS, min_size=3, max_size=8), num_classes=st.integers(2, 3))
@settings(max_examples=30, deadline=None)
def test_whatever_the_words_a_saved_classifier_predicts_the_same(tmp_path_factory, sentences, num_classes):
    """Quotation marks, line ends, control characters and all writing systems are words, too."""
    folder = tmp_path_factory.mktemp("tfidf")
    labels = [at % num_classes for at in range(len(sentences))]
    classifier, rows, _ = fitted(["a word", *sentences], [0, *labels])
    classifier.save(folder)

    np.testing.assert_array_equal(load(folder, "cpu").predict(rows), classifier.predict(rows))


def test_its_log_is_one_row_of_what_scikit_learn_says_of_its_fit():
    classifier, rows, result = fitted(moods(60).sentences, moods(60).labels.tolist())
    probabilities = softmax(classifier.predict(rows).astype(np.float64), axis=1)

    (epoch,) = result.history
    assert epoch.val_loss == pytest.approx(log_loss(rows.labels, probabilities), rel=1e-9)
    assert (epoch.epoch, epoch.learning_rate) == (1, 0)
    assert epoch.val_accuracy == np.mean(probabilities.argmax(axis=1) == rows.labels)


def test_of_pairs_it_is_scikit_learns_pipeline_on_words_that_tell_their_text(tmp_path):
    rows, test = who_is_good(60), who_is_good(20, seed=1)
    classifier, _, _ = fitted(rows.sentences, rows.labels.tolist(), second=rows.second)
    classifier.save(tmp_path)

    def marked(split):
        """Each word with the number of its text, and a word of no other row between the two."""
        return [
            " ".join([*(f"1{word}" for word in first.split()), f"|{at}", *(f"2{word}" for word in second.split())])
            for at, (first, second) in enumerate(zip(split.sentences, split.second, strict=True))
        ]

    words = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    runs = [run for run in words.fit(marked(rows)).get_feature_names_out() if "|" not in run]
    theirs = make_pipeline(
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, vocabulary=runs),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    theirs.fit(marked(rows), rows.labels)

    for ours in (classifier, load(tmp_path, "cpu")):
        probabilities = softmax(ours.predict(test).astype(np.float64), axis=1)
        np.testing.assert_allclose(probabilities, theirs.predict_proba(marked(test)), rtol=0, atol=1e-6)
        assert (probabilities.argmax(axis=1) == test.labels).all()


def test_no_run_of_words_crosses_from_one_text_of_a_pair_to_the_other():
    classifier, _, _ = fitted(["so good", "so good"], [0, 1], second=["so bad", ""])

    runs = classifier.vectorizer.get_feature_names_out().tolist()
    assert runs == ["1 good", "1 so", "1 so good", "2 bad", "2 so", "2 so bad"]


@given(logits=arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_the_loss_of_the_surest_mistake_is_a_number(logits):
    loss, accuracy = loss_and_accuracy(logits, np.array([0, 1, 2, 0]))

    wanted = logits.astype(np.float64)
    expected = np.mean([np.logaddexp.reduce(row) - row[label] for row, label in zip(wanted, (0, 1, 2, 0), strict=True)])
    assert loss == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert 0 <= accuracy <= 1


def test_two_classes_have_the_logit_of_the_second_against_the_first():
    classifier, rows, _ = fitted(["good", "bad", "good", "bad"], [1, 0, 1, 0])
    logits = classifier.predict(rows)

    decided = classifier.regression.decision_function(classifier.vectorizer.transform(rows.sentences))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], decided, rtol=1e-6)
    np.testing.assert_array_equal(logits[:, 0], -logits[:, 1])


@pytest.mark.parametrize(("max_ngram", "runs"), [(1, 2), (2, 3), (3, 3)])
def test_it_counts_a_weight_for_each_run_of_words_and_each_class(max_ngram, runs):
    two, _, _ = fitted(["so good", "so good"], [0, 1], max_ngram=max_ngram)
    three, _, _ = fitted(["so good"] * 3, [0, 1, 2], max_ngram=max_ngram)

    assert two.record.trainable_parameters == two.record.total_parameters == runs + 1
    assert three.record.trainable_parameters == 3 * (runs + 1)


def test_less_regularization_fits_the_training_rows_more_closely():
    losses = [
        fitted(opinions(60).sentences, opinions(60).labels.tolist(), inverse_regularization=c)[2].history[0].train_loss
        for c in (0.1, 1.0, 10.0)
    ]

    assert losses[0] > losses[1] > losses[2]

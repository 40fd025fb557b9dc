"""Numerical versions: what a recorded cell's numbers depend on beside its data, its params and its number format.

A version is raised when, for the same data, params and format, the room computes something else: other rows, another
order of batches, other fresh weights, another loss, another score. Moving code, renaming, a comment or a faster way to
the same numbers raise nothing. The golden record (`tests/golden`) holds each version to what it computed when it was
declared, so that a version can neither be forgotten nor lie. Each method has a version of its own, in its file.

    CORPUS    1  rows as SST-2's study was recorded with: cleaning, grouped partition, balanced nested subsets; what
                 is measured of texts: overlap, words, negation
    TRAINING  1  packed and plain engine, AdamW, linear decay to 0, best epoch by validation loss
    SCORING   1  accuracy, F1, log-loss of the kept epoch's logits; what the study's record adds: temperature, class
                 margins, optimizer steps. (Means over the classes leave out one with neither rows nor predictions; they
                 once counted it as 0. No recorded cell has such a class, and nothing that the study reads is a mean.)
"""

CORPUS = 1  # cleaning, partition, subsets: which rows; and what is measured of their texts
TRAINING = 1  # tokens, fresh weights, dropout, order of batches, loop: which logits, for methods that learn by gradient
SCORING = 1  # from logits to scores and to what the study records beside them

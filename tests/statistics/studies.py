"""Simulated studies whose truth is known: S seeds of a classifier on N rows, some easy and some hard.

A row is hit with chance expit(centre + difficulty + seed), difficulty and seed normal. The truth is the accuracy
expected over fresh rows and fresh seeds, by quadrature.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

NODES = np.linspace(-5, 5, 201)
MASS = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    centre: float  # of the logit
    row_sd: float  # logits
    seed_sd: float  # logits

    @property
    def accuracy(self) -> float:
        spread = np.hypot(self.row_sd, self.seed_sd)
        return float(MASS @ expit(self.centre + spread * NODES))

    def hits(self, difficulty, num_seeds, generator):
        """(S, N) bool; difficulty (N,) standard normal, shared by the classifiers of a study."""
        seeds = self.seed_sd * generator.normal(size=(num_seeds, 1))
        return generator.random((num_seeds, len(difficulty))) < expit(self.centre + self.row_sd * difficulty + seeds)


def classifier(accuracy, *, seed_points, row_sd=3.0):
    """One of the given accuracy whose seeds differ by about so many points (SD) of it."""

    def spread(centre):
        slope = MASS @ (expit(centre + row_sd * NODES) * expit(-centre - row_sd * NODES))
        return seed_points / 100 / slope

    def excess(centre):
        return Classifier(centre=centre, row_sd=row_sd, seed_sd=spread(centre)).accuracy - accuracy

    centre = brentq(excess, -3, 8)
    return Classifier(centre=centre, row_sd=row_sd, seed_sd=spread(centre))

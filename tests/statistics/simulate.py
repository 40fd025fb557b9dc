"""How often a verdict is wrong, in studies whose truth is known: `python -m tests.statistics.simulate --studies 2000`.

In every scenario the method on trial is worse by exactly the margin in the runs that do not fail, so that
"non-inferior" is wrong each time. In the last one it is worse by the margin only with its failed runs counted: of that
no few seeds can tell, for a third of all studies with five seeds see no failure at all (0.8^5), and look as studies do
that have none. `python -m tests.statistics.simulate --looks 500` asks the looks of a claim: how often all together are
wrong, and how many seeds they take where the truth is one thing or another; `--curves 50` asks the bands of curves.
"""

import argparse
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit

from stages.foundation.log import say
from stages.statistics.curves import fit_curve
from stages.statistics.failures import Runs, failed
from stages.statistics.non_inferiority import judge
from stages.statistics.sequential import each_look
from tests.statistics import studies

classifier = cache(studies.classifier)
NUM_ROWS, NUM_VALIDATION_ROWS = 872, 1_000
MARGIN, LOST, FAILING = 0.02, 0.10, 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    accuracy: float = 0.9  # of the method that the trial is held against
    seed_points: float = 1.0  # SD between seeds, of the method on trial
    other_points: float = 1.0  # ... of the other
    row_sd: float = 3.0  # logits
    shared: float = 0.0  # correlation of the seeds of both
    machines: bool = False  # the first three seeds on one machine, the others on another that shifts both
    trial_fails: bool = False  # a fifth of its runs lose ten points
    other_fails: bool = False
    counted: bool = False  # whether the failed runs are a part of the margin
    worse: float = MARGIN  # by how much the method on trial is worse


SCENARIOS = {
    "realistic": Scenario(),
    "accuracy .95, very strong rows": Scenario(accuracy=0.95, row_sd=4.0),
    "seed SD 0.3 against 1.5 points": Scenario(seed_points=0.3, other_points=1.5),
    "paired seeds, rho .8": Scenario(shared=0.8),
    "two clusters of machines": Scenario(machines=True),
    "a fifth of the trial's runs lose 10 points": Scenario(trial_fails=True),
    "a fifth of the other's runs lose 10 points": Scenario(other_fails=True),
    "a fifth of both methods' runs lose 10 points": Scenario(trial_fails=True, other_fails=True),
}


UNSEEN = Scenario(trial_fails=True, counted=True)


def study(scenario, num_seeds, generator):
    """Hits of both methods (S, N), and whether a run of either failed by its validation scores (S,)."""
    test, validation = generator.normal(size=NUM_ROWS), generator.normal(size=NUM_VALIDATION_ROWS)
    together = generator.normal(size=num_seeds)
    machine = np.where(np.arange(num_seeds) < 3, *generator.normal(size=2)) if scenario.machines else 0
    hits, out = [], np.zeros(num_seeds, dtype=bool)
    for worse, points, fails in (
        (scenario.worse - scenario.counted * FAILING * LOST, scenario.seed_points, scenario.trial_fails),
        (0.0, scenario.other_points, scenario.other_fails),
    ):
        accuracy = scenario.accuracy - worse
        good = classifier(accuracy, seed_points=points, row_sd=scenario.row_sd)
        bad = classifier(accuracy - LOST, seed_points=points, row_sd=scenario.row_sd)
        own = generator.normal(size=num_seeds)
        luck = scenario.shared**0.5 * together + (1 - scenario.shared) ** 0.5 * own
        fell = fails & (generator.random(num_seeds) < FAILING)
        centre = np.where(fell, bad.centre, good.centre) + good.seed_sd * (luck + machine)
        test_hits, validation_hits = (
            generator.random((num_seeds, len(rows))) < expit(centre[:, None] + scenario.row_sd * rows)
            for rows in (test, validation)
        )
        hits.append(test_hits)
        out |= np.array([bool(reason) for reason in failed(runs(validation_hits.mean(axis=1)))])
    return *hits, out


def runs(accuracies):
    """Runs that validation saw like this, trained long enough."""
    num_runs = len(accuracies)
    return Runs(
        accuracies=np.asarray(accuracies),
        losses=np.full(num_runs, 0.3),
        ended_at_best=np.zeros(num_runs, dtype=bool),
        steps=np.full(num_runs, 2_000.0),
        num_classes=2,
    )


def false_claims(scenario, num_seeds, num_studies, *, seed=0):
    """Share of the studies that call the worse method non-inferior."""
    generator = np.random.default_rng(seed)
    wrong = 0
    for _ in range(num_studies):
        first, second, out = study(scenario, num_seeds, generator)
        told = judge(first, second, margin=MARGIN, failed=out)
        wrong += told.verdict == "non-inferior"
    return wrong / num_studies


LOOKS, ALPHA = (3, 5, 8, 12), 0.05


def looked_at(scenario, num_studies, *, seed=0):
    """Share of studies called non-inferior and inferior, and the mean number of seeds, stopped as `settle` stops."""
    generator = np.random.default_rng(seed)
    verdicts, taken = [], []
    for _ in range(num_studies):
        first, second, out = study(scenario, LOOKS[-1], generator)
        for found in each_look(first, second, margin=MARGIN, looks=LOOKS, failed=out, alpha=ALPHA):
            if found.is_over:
                break
        verdicts.append(found.result.verdict)
        taken.append(found.num_seeds)
    shares = (np.mean([verdict == wanted for verdict in verdicts]) for wanted in ("non-inferior", "inferior"))
    return *shares, np.mean(taken)


CURVES = {
    "pow3": lambda n: 0.08 + 2.2 * n**-0.42,
    "pow4": lambda n: 0.06 + 2.6 * (n + 500.0) ** -0.4,
    "mmf4": lambda n: 0.09 + 0.38 / (1 + (n / 900.0) ** 0.9),
    "wbl4": lambda n: 0.10 + 0.36 * np.exp(-((n / 2_000.0) ** 0.5)),
    "log": lambda n: 0.40 - 0.028 * np.log2(n / 250),
    "kink": lambda n: np.where(n < 4_000, 0.34 - 0.035 * np.log2(n / 250), 0.20 - 0.012 * np.log2(n / 4_000)),
}
SIZES = np.array([250, 500, 1_000, 2_000, 4_000, 8_000])
ASKED = np.array([32_000])


def band_of(error, generator, *, num_seeds=3, num_resamples=40, seed=0):
    """The fit to a study of six sizes, measured on a usual test set."""
    difficulty = generator.normal(size=NUM_ROWS)
    models = [classifier(1 - share, seed_points=0.8) for share in error(SIZES.astype(float))]
    hits = tuple(model.hits(difficulty, num_seeds, generator) for model in models)
    return fit_curve(SIZES, hits, confidence_level=0.95, seed=seed, num_resamples=num_resamples)


def foretold(error, num_studies, *, seed=0):
    """Share of the bands that hold the true accuracy at four times the largest size; the miss (RMSE), and the width."""
    generator = np.random.default_rng(seed)
    truth = 1 - float(error(ASKED.astype(float))[0])
    edges = np.array(
        [
            (fit.low[-1], fit.accuracy[-1], fit.high[-1])
            for fit in (band_of(error, generator) for _ in range(num_studies))
        ]
    )
    holds = (edges[:, 0] <= truth) & (truth <= edges[:, 2])
    return holds.mean(), np.sqrt(np.mean((edges[:, 1] - truth) ** 2)), np.mean(edges[:, 2] - edges[:, 0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=0, help="of each scenario and number of seeds")
    parser.add_argument("--looks", type=int, default=0, help="studies of each scenario, looked at while they grow")
    parser.add_argument("--curves", type=int, default=0, help="studies of each planted curve")
    asked = parser.parse_args()
    for name, scenario in SCENARIOS.items() if asked.studies else ():
        told = ", ".join(
            f"{seeds} seeds {100 * false_claims(scenario, seeds, asked.studies):.1f} %" for seeds in (3, 5)
        )
        say(f"{name}: {told}")
    if asked.studies:
        told = ", ".join(
            f"{seeds} seeds {100 * false_claims(UNSEEN, seeds, asked.studies):.1f} %" for seeds in (3, 5, 14, 25)
        )
        say(f"a fifth of the trial's runs lose 10 points, and these are its margin: {told}")
    truths = {
        "no difference": Scenario(worse=0.0),
        "no difference, seed SD 0.3": Scenario(worse=0.0, seed_points=0.3, other_points=0.3),
        "worse by twice the margin": Scenario(worse=2 * MARGIN),
        "better by the margin": Scenario(worse=-MARGIN),
    }
    for name, scenario in (SCENARIOS | truths).items() if asked.looks else ():
        good, bad, seeds = looked_at(scenario, asked.looks)
        saved = 1 - seeds / LOOKS[-1]
        say(
            f"looks, {name}: {100 * good:.1f} % non-inferior, {100 * bad:.1f} % inferior, {seeds:.1f} seeds, "
            f"{100 * saved:.0f} % fewer cells than {LOOKS[-1]} seeds"
        )
    for name, error in CURVES.items() if asked.curves else ():
        holds, miss, width = foretold(error, asked.curves)
        say(f"{name:6} holds {100 * holds:5.1f} %, off by {100 * miss:.2f}, width {100 * width:.1f} points")


if __name__ == "__main__":
    main()

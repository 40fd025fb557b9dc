"""Many experiments to a decision: intervals over seeds, paired tests, power, calibration, curve fits; numpy and scipy.

Apart from `scoring`, which is a dependency of every single experiment: what is added here reruns none.
"""

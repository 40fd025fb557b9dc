"""The numerical version of each room that decides numbers: raised when what it computes changes, never else."""

CORPUS = 1  # rows of pool, splits and subset
TRAINING = 1  # weights and history
SCORING = 1  # scores of given logits

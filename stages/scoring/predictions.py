"""Predictions row by row, kept for every later comparison."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.files import write_text
from stages.foundation.split import Split


def write_predictions(path: Path, split: Split, logits: NDArray[np.float32]) -> None:
    """Write row_id, label, predicted (class indices) and logit_0 ... logit_{C-1} as Parquet.

    Args:
        path: Target file.
        split: N rows that were predicted.
        logits: (N, C) float32, in the rows' order.
    """
    frame = pd.DataFrame({"row_id": split.row_ids, "label": split.labels, "predicted": logits.argmax(axis=1)})
    for index in range(logits.shape[1]):
        frame[f"logit_{index}"] = logits[:, index]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def write_confusion(path: Path, split: Split, logits: NDArray[np.float32]) -> None:
    """Write the true and the predicted class name of each row as CSV, which DVC draws as a matrix."""
    names = np.array(split.label_names)
    frame = pd.DataFrame({"actual": names[split.labels], "predicted": names[logits.argmax(axis=1)]})
    write_text(path, frame.to_csv(index=False))

"""Check that what an experiment asks for is there, before DVC looks for it and before hours are spent.

Reads   params: dataset; what lies in data/sources/
Writes  data/checked.json: the name of the data set; in neither Git nor DVC's cache, so that each copy is checked anew
"""

from dataclasses import dataclass

from stages.foundation import paths
from stages.foundation.files import write_json
from stages.foundation.params import read_params
from stages.foundation.stage import run_stage
from stages.foundation.workspace import require_dataset, require_recordable


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckView:
    """All that the stage check reads."""

    dataset: str  # a folder in data/sources


def main() -> None:
    """Refuse in one line what DVC would refuse without help, or run to the end and lose."""
    params = read_params("check", CheckView)
    require_recordable()
    require_dataset(params.dataset)
    write_json(paths.CHECKED, {"dataset": params.dataset})


if __name__ == "__main__":
    run_stage("check", main)

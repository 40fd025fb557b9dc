"""The map of the house: how much labelled data does a text classifier need?

A `.py` directly in this folder is a stage of `dvc.yaml`, and every stage is one:

    check      is what an experiment asks for there?
    prepare    source -> clean training pool, validation, test; how much they leak
    subsample  training pool -> a subset, nested in every larger one of the same seed
    train      one subset, one seed, one method -> one model
    evaluate   one model -> predictions and scores on validation and test
    report     one experiment -> figures, tables, report.html

The folders are rooms with one job each; imports run downwards only:

    export     a trained model as other programs load it, checked, with a model card   (huggingface_hub; dvc)
    study      many experiments -> one answer; asks DVC for cells and trains nothing itself   (dvc)
    predict    a trained model on texts of any number -> classes, probabilities, flags   (dvc for experiments by name)
    reporting  draws what it is given and computes nothing   (matplotlib, vl-convert)
    methods    one file each: how it is trained and loaded, what is said of it   (scikit-learn; torch through engine)
    engine     tokens, forward passes, training, checkpoints (torch, transformers, peft)
    corpus     sources, cleaning, overlap, partition, subsets (numpy, pandas; datasets for the Hub)
    statistics many predictions -> intervals, tests, curves  (numpy, scipy; no stage of an experiment needs it)
    scoring    predictions -> numbers and intervals          (numpy, scipy)
    hub        the Hugging Face Hub: pinned snapshots, uploads   (huggingface_hub)
    foundation params, paths, files, errors, versions        (numpy, pandas, ruamel.yaml)
"""

import sys
from types import TracebackType

if sys.version_info < (3, 11):  # noqa: UP036 - older ones come here all the same
    sys.exit(f"Python 3.11 or later is needed, and this is {sys.version.split()[0]}: make .venv with a newer one")


def _tell_missing_package(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """One line for a package that this Python lacks; anything else as usual."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in ("", __name__):
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(
        f"{sys.executable} has no package {package}: `. .venv/bin/activate`, then `pip install -r requirements.txt`\n"
    )


sys.excepthook = _tell_missing_package

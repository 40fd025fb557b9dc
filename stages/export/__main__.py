"""A trained model for other programs: checked against the engine, with a model card.

python -m stages.export adapter --out FOLDER      for PEFT and Transformers, base model included
python -m stages.export merged --out FOLDER       for Transformers
python -m stages.export onnx --out FOLDER         for ONNX Runtime; --int8 for smaller weights
python -m stages.export files --out FOLDER        of method tfidf: safetensors, JSON and a reader
python -m stages.export push FOLDER owner/name    onto the Hugging Face Hub

The model is data/model, that of an experiment (--experiment NAME), or any folder (--model FOLDER).
"""

import os
import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from stages.export.usage import TOLD
from stages.foundation.errors import TRACEBACK, StudyError, can_be_mended, one_line
from stages.foundation.log import say


def export(asked: Namespace) -> None:
    """Write one export."""
    from stages.engine.exporting.folders import stated_licence
    from stages.export.card import model_card
    from stages.export.exports import export as write_export
    from stages.export.trained import find_trained

    with find_trained(asked.experiment, asked.model) as trained:
        say(f"{asked.format} of {asked.experiment or trained.folder}")
        write_export(
            trained,
            asked.format,
            asked.out,
            int8=asked.format == "onnx" and asked.int8,
            card=lambda check, record: model_card(
                asked.format, trained, record, check, licence=stated_licence(record, trained.folder)
            ),
        )
    say(f"{asked.out}: {TOLD[asked.format]}; README.md there says how it is loaded")


def push(asked: Namespace) -> None:
    """Put an export onto the Hub."""
    from stages.hub.upload import push_folder

    if not (asked.folder / "README.md").is_file():
        raise StudyError(f"{asked.folder} is no export: it has no README.md")
    if (asked.folder / "adapter_config.json").is_file():
        raise StudyError(
            "an adapter on the Hub takes its class names from its base model, which has none of yours: push the merged "
            "export"
        )
    say(f"{asked.folder} is at {push_folder(asked.folder, asked.repo, private=asked.private)}")


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m stages.export", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar=" | ".join((*TOLD, "push")))
    for name, told in TOLD.items():
        entry = commands.add_parser(name, help=told, description=told)
        entry.set_defaults(command=export, format=name)
        entry.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="is made; must not be there yet")
        which = entry.add_mutually_exclusive_group()
        which.add_argument("--experiment", metavar="NAME", help="of `dvc exp list -A`, a branch or a commit")
        which.add_argument("--model", type=Path, metavar="FOLDER", help="that the stage train wrote, by itself")
        if name == "onnx":
            entry.add_argument("--int8", action="store_true", help="int8 weights; what this costs is measured and said")
    entry = commands.add_parser("push", help="an export onto the Hugging Face Hub, as one commit")
    entry.set_defaults(command=push)
    entry.add_argument("folder", type=Path, help="that an export wrote")
    entry.add_argument("repo", help="owner/name of a model; made where there is none")
    entry.add_argument("--private", action="store_true", help="if it is made")
    return parser


def main() -> None:
    """One command; what a person can mend becomes one line and exit code 1."""
    asked = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asked.command(asked)
    except Exception as error:
        if os.environ.get(TRACEBACK) or not can_be_mended(error):
            raise
        sys.exit(f"export: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("export: interrupted, nothing was written")


if __name__ == "__main__":
    main()

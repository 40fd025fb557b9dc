"""What the documentation says can be followed: links lead somewhere, commands are understood, names are right."""

import io
import json
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from unittest.mock import patch

import pytest
from dvc.cli import DvcParserError, parse_args

import stages
from stages.corpus.sources.settings import read_settings
from stages.foundation.files import read_yaml
from stages.study.identity import leaves
from tests.pages.workspace import REPOSITORY

WRITTEN = "plots/*.md"  # by the study, and tested there
LONGEST_README = 120  # lines
FIRST_SCREENS = 60  # lines
MARK = "<!-- ci -->"  # above a block that .ci/run runs

# Made while one works, and ignored by Git on purpose.
UNTRACKED = {
    ".base_models",
    ".checkpoints",
    ".dvc/cache",
    ".dvc/config.local",
    ".dvc/tmp/study",
    "data/sources/sst2-files",
    "plots/vega.js",
}
CHECKED_SUFFIXES = {".py", ".yaml", ".md"}  # of names without a folder
FILE_SUFFIXES = {".py", ".yaml", ".md", ".tsv", ".csv", ".json", ".jsonl", ".parquet", ".html"}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(<?([^)>\s]+)>?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
KEY = re.compile(r"(\w+(?:\.\w+)+)(?::.*)?")
SET_PARAM = re.compile(r"(?:-S|--set-param)[ =]([\w.-]+)=")
VARIABLE = re.compile(r"(\w+)=(\S+)")
FUNCTION = re.compile(r"(\w+)\(\) \{ (.+?);? \}")
NUMBER = re.compile(r"(?<![\w.,])\d[\d.,]*\d(?!\w)")


def git_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


TRACKED = {name for file in git_files() for name in (file, *map(str, PurePosixPath(file).parents))}
DOCUMENTS = sorted(name for name in TRACKED if name.endswith(".md") and not fnmatch(name, WRITTEN))


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def faults(text: str, place: str) -> list[str]:
    """Everything in a document that leads nowhere.

    Args:
        text: Markdown.
        place: Where it lies, relative to the repository's root.
    """
    prose = FENCE.sub("", text)
    spans = [" ".join(span.split()) for span in SPAN.findall(prose)]
    blocks = [block for language, block in FENCE.findall(text) if language in ("bash", "sh")]
    found = [link_fault(target, text, place) for target in LINK.findall(SPAN.sub("", prose))]
    found += [path_fault(span, place) for span in spans if PATH.fullmatch(span)]
    found += [key_fault(key) for code in (*blocks, *spans) for key in SET_PARAM.findall(code)]
    found += [key_fault(named[1]) for span in spans if (named := KEY.fullmatch(span)) and names_a_param(named[1])]
    found += [command_fault(words, whole=True) for block in blocks for words in commands(block)]
    found += [command_fault(words, whole=False) for span in spans if is_command(span) for words in commands(span)]
    return [fault for fault in found if fault]


def link_fault(target: str, text: str, place: str) -> str:
    if re.match(r"[a-z]+:", target):
        return ""
    path, _, anchor = target.partition("#")
    file = joined(place, path) if path else place
    if file not in TRACKED:
        return f"link to {target}: no {file}"
    if anchor and anchor not in anchors(read(file) if path else text):
        return f"link to {target}: {file} has no such heading"
    return ""


def joined(place: str, path: str) -> str:
    """The path that a document names relative to its own folder, relative to the root."""
    parts: list[str] = []
    for part in (*PurePosixPath(place).parent.parts, *PurePosixPath(path).parts):
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or "."


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def path_fault(span: str, place: str) -> str:
    path = span.rstrip("/")
    first = PurePosixPath(path).parts[0]
    if "/" not in path:
        looks_so = PurePosixPath(path).suffix in CHECKED_SUFFIXES
        known = {PurePosixPath(name).name for name in TRACKED}
        return f"there is no file called {path}" if looks_so and path not in known else ""
    candidates = [path, joined(place, path)]
    if not first.startswith(".") and not {first, joined(place, first)} & TRACKED:
        return ""  # not of this repository: a Hub id, a folder of GLUE's
    there = TRACKED | UNTRACKED | outputs()
    return "" if any(fnmatch(name, one) for name in there for one in candidates) else f"no such path: {path}"


@cache
def outputs() -> set[str]:
    """What the stages write, by dvc.yaml."""
    entries = [
        entry
        for stage in read_yaml(REPOSITORY / "dvc.yaml")["stages"].values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
    ]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


@cache
def params() -> dict[str, object]:
    return read_yaml(REPOSITORY / "params.yaml")


def names_a_param(key: str) -> bool:
    section = params().get(key.partition(".")[0])
    return isinstance(section, dict) and PurePosixPath(key).suffix not in FILE_SUFFIXES


def key_fault(key: str) -> str:
    value: object = params()
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            return f"params.yaml has no {key}"
        value = value[name]
    return ""


def is_command(span: str) -> bool:
    return bool(re.match(r"(python -m|dvc|study) \S", span))


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of some lines of shell, variables and functions of one line put in."""
    variables: dict[str, str] = {}
    functions = {"study": 'python -m stages.study "$@"'}
    for line in script.replace("\\\n", " ").splitlines():
        if assigned := VARIABLE.fullmatch(line):
            variables[assigned[1]] = assigned[2]
        elif defined := FUNCTION.fullmatch(line):
            functions[defined[1]] = defined[2]
        else:
            for words in split(re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), line)):
                body = functions.get(words[0])
                yield from [words] if body is None else split(body.replace('"$@"', shlex.join(words[1:])))


def split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in ("&&", "||", "|", ";"):
            words.append(word)
        elif words:
            yield words
            words = []


def command_fault(words: list[str], *, whole: bool) -> str:
    """What is wrong with a command; one in a sentence may be cut short (`dvc plots`)."""
    told = shlex.join(words)
    if words[0] == "dvc":
        cut = not whole and not any(word.startswith("-") for word in words)
        return "" if understood_by_dvc((*words[1:], "--help") if cut else tuple(words[1:])) else f"dvc refuses {told}"
    if words[0] in ("python", "python3") and words[1] == "-m":
        reason = module_fault(words[2], tuple(words[3:]))
        return f"{told}: {reason}" if reason else ""
    return ""


@cache
def understood_by_dvc(words: tuple[str, ...]) -> bool:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            parse_args(list(words))
        except DvcParserError:
            return False
        except SystemExit as ended:  # after --help
            return ended.code == 0
    return True


class Understood(BaseException):
    """The parser took the command line."""


@cache
def module_fault(name: str, words: tuple[str, ...]) -> str:
    """Why `python -m name words` can't be; nothing but its parser is run."""
    try:
        module = find_spec(name)
        if module is not None and module.submodule_search_locations is not None:
            module = find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        module = None
    if module is None or module.origin is None:
        return "there is no such program"
    if not words or not name.startswith(("stages.", "tests.")):
        return ""
    if "parse_args(" not in Path(module.origin).read_text(encoding="utf-8"):
        return "it takes no options"
    return refusal(name, words)


def refusal(name: str, words: tuple[str, ...]) -> str:
    """What the program's own parser says against these words, empty if nothing."""
    parse, said = ArgumentParser.parse_args, io.StringIO()

    def parse_alone(self, *given, **more):
        parse(self, *given, **more)
        raise Understood

    with (
        patch.object(ArgumentParser, "parse_args", parse_alone),
        patch.object(sys, "argv", [name, *words]),
        redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # of a module that some test has imported before
        try:
            runpy.run_module(name, run_name="__main__")
        except Understood:
            return ""
        except SystemExit:
            return said.getvalue().strip().rpartition("\n")[2]
    raise AssertionError(f"{name} ended without having parsed its options")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_command_param_and_path_of_a_document_is_right(name):
    assert faults(read(name), name) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "link to nowhere.md: no stages/nowhere.md"),
        ("![a](<../plots/none.png>)", "no plots/none.png"),
        ("[a](../../elsewhere)", "no ../elsewhere"),
        ("[a](../README.md#no-such-thing)", "README.md has no such heading"),
        ("# One\n```bash\n# Two\n```\n[a](#two)", "has no such heading"),
        ("`stages/nothing.py`", "no such path: stages/nothing.py"),
        ("`engine/none*.py`", "no such path"),
        ("`nobody.py`", "there is no file called nobody.py"),
        ("`.nowhere/file`", "no such path"),
        ("`train.no_such_key`", "params.yaml has no train.no_such_key"),
        ("`study.precision: [auto]`", "params.yaml has no study.precision"),
        ("`-S evaluate.batch_size=3`", "params.yaml has no evaluate.batch_size"),
        ("```bash\ndvc exp run -S sample=3\n```", "params.yaml has no sample"),
        ("```bash\ndvc plots\n```", "dvc refuses dvc plots"),
        ("```bash\ncd x && dvc exp show \\\n  --only-change-nothing\n```", "dvc refuses"),
        ("`dvc plot`", "dvc refuses dvc plot"),
        ("`dvc gc --everything`", "dvc refuses"),
        ("`python -m stages.nothing`", "there is no such program"),
        ("`python -m stages.corpus`", "there is no such program"),
        ("`python -m tests.golden.record --rows 3`", "it takes no options"),
        ("`study run --job-count 2`", "unrecognized arguments: --job-count 2"),
        ('```bash\nsizes=many\nstudy() { python -m stages.study "$@"; }\nstudy plan --sizes $sizes\n```', "'many'"),
        ("```bash\npython -m tests.benchmark.throughput --contestants nobody\n```", "invalid choice: 'nobody'"),
    ],
)
def test_what_leads_nowhere_is_found(text, fault):
    found = faults(text, "stages/README.md")

    assert len(found) == 1
    assert fault in found[0]


def test_what_is_right_is_left_alone():
    text = """# One, and two's
[a](../README.md#two-commands) [b](#one-and-twos) [c](study/README.md) [d](..) [e](https://dvc.org) `owner/name`
`stages/engine` `engine/` `tests/golden/records` `metrics/throughput*.md` `data/model/` `.checkpoints/` `dataset.yaml`
`train.max_steps` `train.csv` `prepare.partition: grouped` `dvc plots` `dvc gc -w` `study run` `python -m stages.study`
```bash
study() { python -m stages.study "$@" --dataset mine; }
study report --seeds 42-46 --recorded    # a remark
dvc exp run -n a -S train.lora.rank=4 && dvc plots show | cat
```
"""
    assert faults(text, "stages/README.md") == []


def test_the_readme_is_a_page_with_two_commands_high_up():
    text = read("README.md")

    assert len(text.splitlines()) <= LONGEST_README
    assert text.count(MARK) == text.count(f"\n{MARK}\n```bash\n") == 2
    assert text[: text.index(MARK)].count("\n") < FIRST_SCREENS


def test_both_maps_name_every_room_and_every_stage():
    rooms = {path.name for path in (REPOSITORY / "stages").iterdir() if (path / "__init__.py").is_file()}
    pages = {path.stem for path in (REPOSITORY / "stages").glob("*.py")} - {"__init__"}
    in_readme = set(re.findall(r"^  (\w+)(?:/|\.py) ", read("README.md"), re.MULTILINE))
    in_code = set(re.findall(r"^    (\w+) ", stages.__doc__ or "", re.MULTILINE))

    assert in_readme == in_code == rooms | pages


def test_every_numerical_version_is_explained():
    text = read("stages/README.md")

    for name in ("CORPUS", "TRAINING", "SCORING"):
        assert re.search(rf"^\| `{name}` \| `stages/foundation/versions.py` \| .+ \|$", text, re.MULTILINE)


def test_the_table_of_experiments_leaves_out_what_is_the_same_for_most():
    """Of some 70 columns those that a reader compares; what a stage comes to tell beside must be left out, too."""
    blocks = [block for language, block in FENCE.findall(read("stages/README.md")) if language == "bash"]
    shown = next(words for block in blocks for words in commands(block) if words[:3] == ["dvc", "exp", "show"])
    left_out = re.compile(shown[shown.index("--drop") + 1])
    metrics = [path for path in sorted(outputs() & TRACKED) if fnmatch(path, "metrics/*.json")]
    told = {name for path in metrics for name, _ in leaves(json.loads(read(path)))}
    told |= {"processor", "commit", "torch", "resumed"}

    kept = sorted(name for name in told if not left_out.match(name))
    compared = ["test_accuracy", "test_accuracy_high", "test_accuracy_low", "test_f1", "test_loss", "total_parameters"]
    assert kept == [*compared, "train_seconds", "trainable_parameters", "trainable_percent"]


def test_every_example_of_dataset_yaml_is_read(tmp_path):
    examples = [block for language, block in FENCE.findall(read("data/sources/README.md")) if language == "yaml"]

    assert len(examples) == 2
    for example in examples:
        (tmp_path / "dataset.yaml").write_text(example)
        assert read_settings(tmp_path).splits is not None


def test_speeds_that_are_told_in_words_stand_in_the_tables():
    tables = "\n".join(path.read_text() for path in (REPOSITORY / "metrics").glob("*.md") if path.name != "README.md")
    told = read("metrics/README.md") + read("stages/README.md").partition("## Speed\n")[2].partition("\n## ")[0]
    numbers = NUMBER.findall(SPAN.sub("", FENCE.sub("", told)))

    assert len(numbers) > 20
    assert [number for number in numbers if number not in NUMBER.findall(tables)] == []

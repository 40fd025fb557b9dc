import pytest

from stages import check, prepare
from stages.foundation import paths
from stages.foundation.files import read_json
from tests.pages.workspace import complaint, run_as_program, write_own_data, write_params


@pytest.fixture(autouse=True)
def workspace(empty_folder):
    write_own_data()


def test_a_data_set_that_is_there_is_written_down(capsys):
    write_params({"dataset": "mine"})
    check.main()

    assert read_json(paths.CHECKED) == {"dataset": "mine"}


def test_one_that_is_not_is_one_line():
    write_params({"dataset": "mien"})

    assert complaint("check", check.main) == (
        "check: dataset 'mien' is no folder in data/sources, which has mine; `mkdir data/sources/mien` and put the "
        "data there"
    )
    assert not paths.CHECKED.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (2024, "got 2024; put it into quotation marks (to `dvc exp run`: -S \"dataset='2024'\")"),
        (True, "got true; put it into quotation marks (to `dvc exp run`: -S \"dataset='true'\")"),
        (1e3, "got 1000.0; put it into quotation marks (to `dvc exp run`: -S \"dataset='...'\")"),
        (None, "got null; if that is its name, put it into quotation marks (to `dvc exp run`: -S \"dataset='null'\")"),
    ],
)
def test_a_name_that_yaml_reads_as_something_else_is_told_how_to_be_written(name, told):
    write_params({"dataset": name})

    assert complaint("check", check.main) == f"check: params.yaml: dataset must be text, {told}"


@pytest.mark.parametrize("stage", [check, prepare])
@pytest.mark.parametrize("name", ["..", "mine/..", "./mine", ""])
def test_a_path_is_no_data_set_for_any_stage(stage, name):
    write_params({"dataset": name})

    assert f"dataset {name!r} is no " in complaint(stage.__name__.rpartition(".")[2], stage.main)


def test_as_a_program_it_loads_nothing_heavy():
    write_params({"dataset": "mine"})

    assert run_as_program("check").stdout.endswith("[]\n")

import pytest

from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, read_yaml, write_json, write_text


def test_json_keeps_its_order_and_survives(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"b": 1, "a": [0.1, "é"]})

    assert list(read_json(tmp_path / "new" / "a.json")) == ["b", "a"]
    assert read_json(tmp_path / "new" / "a.json") == {"b": 1, "a": [0.1, "é"]}


def test_a_number_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")

    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "a: 1\na: 2"])
def test_yaml_that_is_no_mapping_is_one_clear_line(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)

    with pytest.raises(StudyError, match=r"a\.yaml") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"none\.yaml is missing"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(StudyError, match="dvc repro"):
        read_json(tmp_path / "none.json")

import json

import pytest

from stages.engine.models.record import FILE, BaseRecord, read_record, write_record
from stages.foundation.errors import StudyError
from tests.engine.conftest import made_record

BASE = BaseRecord(name="tiny", source="hub", location="owner/tiny", pin="a" * 40, weights_sha256="ab" * 32)


@pytest.mark.parametrize("base", [None, BASE])
def test_a_record_survives_its_file(tmp_path, base):
    record = made_record(base=base, label_names=["ungenügend", "“gut”"])
    write_record(tmp_path, record)

    assert read_record(tmp_path) == record


def test_equal_records_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_record(tmp_path / name, made_record(base=BASE))

    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_a_folder_without_one_is_one_clear_line(tmp_path):
    with pytest.raises(StudyError, match=rf"{FILE} is missing"):
        read_record(tmp_path)


@pytest.mark.parametrize("change", [lambda facts: facts.pop("reading"), lambda facts: facts.update(new=1)])
def test_a_record_of_another_version_is_one_clear_line(tmp_path, change):
    write_record(tmp_path, made_record(base=BASE))
    facts = json.loads((tmp_path / FILE).read_text())
    change(facts)
    (tmp_path / FILE).write_text(json.dumps(facts))

    with pytest.raises(StudyError, match="was written by another version of this project: train again"):
        read_record(tmp_path)

import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Pages read and write below the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "STUDY_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path

from tests.engine.conftest import tiny_base  # noqa: F401 - a fixture

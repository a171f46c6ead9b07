"""For pytest: `pytest tests/s3 --endpoint URL --access-key K --secret-key S`."""

import pytest

from world import World


def pytest_addoption(parser):
    for name in ("endpoint", "access-key", "secret-key"):
        parser.addoption(f"--{name}", required=True)


@pytest.fixture
def world(request):
    option = request.config.getoption
    world = World(option("--endpoint"), option("--access-key"), option("--secret-key"))
    yield world
    world.clean()

"""Runs every case against a server: `python tests/s3/run.py --endpoint URL --access-key K --secret-key S`.

Needs `requirements.txt`. What it prints: `../harness.py`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402


def world(options, _):
    from world import World

    return World(options.endpoint, options.access_key, options.secret_key)


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, ["--endpoint", "--access-key", "--secret-key"], world))

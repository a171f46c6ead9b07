"""Lambda functions under load, with boto3: `python tests/aws-load/run.py --endpoint URL --pid PID`.

Needs `requirements.txt`, and a server on this machine that believes any of its keys (`--aws-keys local`), whose
process is PID: its memory is looked at. What it prints: `../harness.py`, and a line for each figure.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.dont_write_bytecode = True

import harness  # noqa: E402


def world(options, _):
    from world import World

    return World(options.endpoint, int(options.pid))


if __name__ == "__main__":
    sys.exit(harness.main(__file__, __doc__, ["--endpoint", "--pid"], world))

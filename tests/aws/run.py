"""The services of the aws door with boto3: `python tests/aws/run.py --endpoint URL --access-key K --secret-key S`.

Needs `requirements.txt`, and a server that believes any key of this machine (`--aws-keys local`): its
own is for function URLs, which do not. What it prints: `../harness.py`. Objects have a suite of their own: `tests/s3`.
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

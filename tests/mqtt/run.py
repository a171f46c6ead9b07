"""Real MQTT clients against a server: `python tests/mqtt/run.py --port P --token T`.

Needs `requirements.txt`, and `mosquitto_pub` and `mosquitto_sub` in the PATH. Prints
`N passed, N failed`; exits 1 if one failed.
"""

import argparse
import importlib
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


def cases(wanted):
    """Each case in both versions of the protocol, unless it is named for one."""
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                for version in (["5"] if name.endswith("_v5") else ["3.1.1", "5"]):
                    label = f"{path.stem[5:]}: {name[5:].replace('_', ' ')} ({version})"
                    if wanted in label:
                        yield label, function, version


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--only", default="", help="run the cases whose label contains this")
    options = parser.parse_args()

    from world import World

    passed, failed = 0, []
    for label, function, version in cases(options.only):
        world = World(options.port, options.token, version)
        begin = time.monotonic()
        try:
            function(world)
            passed += 1
            print(f"ok      {label} ({time.monotonic() - begin:.2f} s)", flush=True)
        except Exception:
            failed.append(label)
            print(f"FAILED  {label}\n{traceback.format_exc()}", flush=True)
        finally:
            world.clean()
    for label in failed:
        print(f"failed: {label}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

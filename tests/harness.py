"""What the suites of real clients share: finds a suite's cases, gives each a world of its own, counts.

Prints `N passed, N failed`; the exit code is 1 if one failed, or if there was none.
"""

import argparse
import importlib
import pathlib
import sys
import time
import traceback


def cases(folder, variants, wanted):
    """Each `test_…` of the folder's files, once for each variant that it has by its name."""
    for path in sorted(folder.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                for variant in variants(name):
                    label = f"{path.stem[5:]}: {name[5:].replace('_', ' ')}" + (f" ({variant})" if variant else "")
                    if wanted in label:
                        yield label, function, variant


def main(run, doc, needed, world, variants=lambda name: [None]):
    """`run` is the suite's program, `needed` its options; `world(options, variant)` is what a case is given."""
    folder = pathlib.Path(run).parent
    sys.path.insert(0, str(folder))
    parser = argparse.ArgumentParser(description=doc)
    for option in needed:
        parser.add_argument(option, required=True)
    parser.add_argument("--only", default="", help="run the cases whose label contains this")
    options = parser.parse_args()

    passed, failed = 0, []
    for label, function, variant in cases(folder, variants, options.only):
        given = world(options, variant)
        begin = time.monotonic()
        try:
            function(given)
            passed += 1
            print(f"ok      {label} ({time.monotonic() - begin:.2f} s)", flush=True)
        except Exception:
            failed.append(label)
            print(f"FAILED  {label}\n{traceback.format_exc()}", flush=True)
        finally:
            given.clean()
    for label in failed:
        print(f"failed: {label}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0

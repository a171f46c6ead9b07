"""The Lambda suite of the emulator moto against a running server: `python tests/aws-moto/run.py --endpoint URL`.

Needs `requirements.txt`, and a server with the account number 123456789012. The suite comes with moto's
source package, which is installed for nothing else. What is known to fail stands in the table of
`docs/reference/aws-moto.md`, with its reason; a case that fails beside those, and one of those that
passes, is an error, so that the table stays true.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml

VERSION = "5.2.5"
HERE = pathlib.Path(__file__).parent
TABLE = HERE.parent.parent / "docs/reference/aws-moto.md"


def unpacked(work):
    """The suite's folder, fetched once."""
    source = work / f"moto-{VERSION}"
    if not source.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "moto", f"moto=={VERSION}"]
        subprocess.run([*pip, "--dest", str(work)], check=True)
        with tarfile.open(work / f"moto-{VERSION}.tar.gz") as archive:
            archive.extractall(work, filter="data")
    return source


def known():
    """The cases that the table names: `| \\`file::case\\` | reason |`."""
    rows = [line.split("|") for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`") for row in rows}


def outcomes(report):
    """Each case's end: passed, failed or skipped."""
    for case in xml.parse(report).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        place = case.get("classname").removeprefix("tests.test_awslambda.").replace(".", "::")
        end = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        yield f"{place}::{case.get('name')}", end


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path, help="a folder for the suite and its report")
    parser.add_argument("--only", default="", help="run the cases whose name contains this, and judge none")
    options = parser.parse_args()

    suite, report = unpacked(options.work), options.work / "report.xml"
    environment = {
        **os.environ,
        "TEST_SERVER_MODE": "true",
        "TEST_SERVER_MODE_ENDPOINT": options.endpoint,
        "MOTO_CALL_RESET_API": "false",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": options.endpoint,
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "empty", "--timeout", "60"]
    pytest += ["--tb", "short" if options.only else "no", "--junit-xml", str(report), "tests/test_awslambda"]
    if options.only:
        return subprocess.run([*pytest, "-k", options.only], cwd=suite, env=environment).returncode
    subprocess.run(pytest, cwd=suite, env=environment, stdout=subprocess.DEVNULL)

    ends = dict(outcomes(report))
    failed = {case for case, end in ends.items() if end == "failed"}
    count = {end: sum(one == end for one in ends.values()) for end in ("passed", "failed", "skipped")}
    print(", ".join(f"{number} {end}" for end, number in count.items()))
    for case in sorted(failed - known()):
        print(f"failed, and is not in {TABLE.name}: {case}")
    for case in sorted(known() - failed):
        print(f"{ends.get(case, 'not there')}, and is in {TABLE.name}: {case}")
    return 0 if failed == known() and count["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())

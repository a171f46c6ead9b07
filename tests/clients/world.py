"""What a case is given: a folder, the tools in it, and an environment in which they find the server and nobody else."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

PATIENCE = 120
HERE = pathlib.Path(__file__).parent
REGION = "eu-central-1"
ROLE = "arn:aws:iam::000000000000:role/any"
EVENT, ANSWER = {"a": 1, "b": 2, "c": 3}, 9
FORMULA = """
def handler(event, context):
    print("asked")
    return (event["a"] + event["b"]) * event["c"]
"""


class World:
    def __init__(self, options):
        self.options, self.undo = options, contextlib.ExitStack()
        self.folder = pathlib.Path(self.undo.enter_context(tempfile.TemporaryDirectory(prefix="mote-clients-")))
        self.home = self.undo.enter_context(tempfile.TemporaryDirectory(prefix="mote-home-"))

    def name(self, what="fn"):
        return f"{what}-{uuid.uuid4().hex[:12]}"

    def write(self, **files):
        """Files of the folder; `__` in a name is a `/`, `_` before its ending a `.`."""
        for name, content in files.items():
            path = self.folder / name.replace("__", "/")[::-1].replace("_", ".", 1)[::-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def environment(self, program):
        inherited = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        beside, real = str(pathlib.Path(sys.executable).parent), pathlib.Path.home()
        return inherited | {
            "PATH": f"{beside}:{os.environ['PATH']}",
            "HOME": self.home,
            "CARGO_HOME": os.environ.get("CARGO_HOME", str(real / ".cargo")),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(real / ".rustup")),
            "AWS_ENDPOINT_URL": self.options.endpoint,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nothing gets out. Of these, osls alone would send by it what is for the server, too.
            **({} if "osls" in str(program) else {"HTTPS_PROXY": "http://127.0.0.1:1"}),
            "MOTE_URL": self.options.control,
            "MOTE_TOKEN": self.options.token,
            "SAM_CLI_TELEMETRY": "0",
            "SLS_TELEMETRY_DISABLED": "1",
            "SLS_NOTIFICATIONS_MODE": "off",
        }

    def run(self, program, *words, stdin="", fails=False):
        """What it says on stdout; with `fails`, all that it says as it fails."""
        done = subprocess.run(
            [program, *words], input=stdin, text=True, capture_output=True, timeout=PATIENCE, cwd=self.folder, env=self.environment(program)
        )
        said = f"{' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        assert (done.returncode != 0) == fails, said
        return said if fails else done.stdout

    def aws(self, *words, fails=False):
        # Told by the environment alone, version 1 goes elsewhere with what is for SQS.
        return self.run("aws", "--endpoint-url", self.options.endpoint, *words, fails=fails)

    def mote(self, *words, fails=False):
        return self.run(self.options.mote, *words, fails=fails)

    def ask(self, path, method="GET", body=None, **headers):
        """Status, headers and text of an answer at the public door."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.options.public + path, body and body.encode(), headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            return answer.status, answer.headers, answer.read().decode()

    def until(self, what, holds):
        """Asks again until it holds; what is asked is outside, so there is nothing to await."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"{what}: not after {PATIENCE} s"
            time.sleep(0.2)

    def json(self, *words):
        return json.loads(self.aws(*words))

    def create(self, code=FORMULA):
        """A function of the AWS CLI's."""
        name = self.name()
        self.write(app_py=code)
        self.pack("app.zip", "app.py")
        made = ["--handler", "app.handler", "--runtime", "python3.12", "--role", ROLE, "--zip-file", "fileb://app.zip"]
        self.aws("lambda", "create-function", "--function-name", name, *made)
        self.aws("lambda", "wait", "function-active-v2", "--function-name", name)
        return name

    def pack(self, packed, *files):
        self.run(sys.executable, "-m", "zipfile", "-c", packed, *files)

    def invoke(self, name, event=EVENT, *more):
        """The answer of a call, and what it returned."""
        words = ["--payload", json.dumps(event), *more, "returned.json"]
        answer = self.json("lambda", "invoke", "--function-name", name, *words)
        returned = (self.folder / "returned.json").read_text()
        return answer, json.loads(returned) if returned else None

    def javascript(self, script, *words):
        """Runs a script of this folder where the SDK is found."""
        place = pathlib.Path(self.options.modules) / script
        place.write_bytes((HERE / script).read_bytes())
        return self.run("node", "--no-warnings", place, *words)

    def clean(self):
        self.undo.close()

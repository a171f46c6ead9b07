"""What a case is given: a folder for its handler's files, and both ways to run it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from client import Client
from outcome import Answer
from runner import Runner

REQUEST = "8b1a0dfe-0000-4000-8000-000000000001"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:orders"


class World:
    def __init__(self, runtime, runners, node_clients):
        self.runtime, self.runners = runtime, runners
        self.is_node = runtime.startswith("nodejs")
        self.node_client = node_clients["4" if runtime == "nodejs24.x" else "3"]
        self.folder = pathlib.Path(tempfile.mkdtemp()).resolve()
        self.node = shutil.which("node")

    def environment(self, more):
        # What else this process was given is no part of a function's environment.
        return {
            "PATH": os.environ["PATH"],
            "TZ": ":UTC",
            "LANG": "C.UTF-8",
            "AWS_EXECUTION_ENV": "AWS_Lambda_" + self.runtime,
            "AWS_LAMBDA_FUNCTION_NAME": "orders",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/orders",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/23/[$LATEST]0123",
            "LAMBDA_TASK_ROOT": str(self.folder),
        } | more

    def run(self, handler, files, events=(b"{}",), env=None, head=None):
        """What AWS's client and what mote's runner make of these events, one behind the other."""
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        events = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        head = {"request_id": REQUEST, "deadline_ms": 4102444800000, "arn": ARN} | (head or {})
        env = self.environment(env or {}) | {"_HANDLER": handler}
        begin = {"cwd": self.folder, "env": env, "stderr": subprocess.STDOUT}
        if not self.is_node:
            theirs = Client([sys.executable, "-m", "awslambdaric", handler], begin)
            ours = Runner([sys.executable, "-I", "-S", self.runners / "python/main.py"], begin)
        else:
            modules = self.folder / "node_modules"
            modules.mkdir(exist_ok=True)
            client = modules / "aws-lambda-ric"
            if not client.exists():
                client.symlink_to(pathlib.Path(self.node_client) / "node_modules/aws-lambda-ric")
            theirs = Client([self.node, self.runners / "node/pull.cjs", handler], begin)
            ours = Runner([self.node, self.runners / "node/main.cjs"], begin)
        return theirs.run(events, head), ours.run(handler, events, head)

    def same(self, handler, files, events=(b"{}",), env=None, head=None, logs=False):
        """Holds that both are the same, and gives what it was."""
        theirs, ours = self.run(handler, files, events, env, head)
        seen = [self.bare(answer) for answer in theirs.answers], [self.bare(answer) for answer in ours.answers]
        assert seen[0] == seen[1], f"\nAWS's client: {seen[0]}\nmote's runner: {seen[1]}\n{theirs.log}\n{ours.log}"
        # A handler that could not be loaded is told as an error; how the process ends then is nobody's to see.
        loaded = theirs.answers[0].kind != "init"
        assert not loaded or theirs.status == ours.status, f"AWS's client ended with {theirs.status}, mote's runner with {ours.status}"
        if logs:
            written = self.plain(theirs.log), self.plain(ours.log)
            assert written[0] == written[1], f"\nAWS's client: {written[0]!r}\nmote's runner: {written[1]!r}"
        return ours

    def bare(self, answer):
        """Without the files of the client or the runner, which each has of its own."""
        if answer.kind == "response" and answer.error and not answer.body:
            # A stream that fails before its first piece: the runner says at once that it failed.
            answer = Answer("error", error=answer.error)
        if not self.is_node or answer.error is None:
            return answer
        document = json.loads(answer.error)
        document["trace"] = self.own("\n".join(document["trace"])).splitlines()
        document["errorMessage"] = self.own(document["errorMessage"])
        return answer._replace(error=json.dumps(document))

    def own(self, text):
        """Frames, and modules that required another, as far as they are the handler's."""
        lines = [line for line in text.split("\n") if not line.startswith(("    at ", "- ")) or str(self.folder) in line]
        # An arrow function is named for the object that it is called on.
        return re.sub(r" at (?:\w+\.handler \((.*)\)|(.*))$", lambda at: " at " + (at[1] or at[2]), "\n".join(lines), flags=re.M)

    def plain(self, log):
        """Without what differs at each run."""
        log = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", log)
        if not self.is_node:
            return log
        log = "\n".join(line for line in log.split("\n") if not line.startswith("Executing "))
        # Frames are held where the error's answer is compared.
        log = re.sub(r'"(stack|stackTrace)":\[(?:"(?:[^"\\]|\\.)*",?)*\]', r'"\1":[]', log)
        return re.sub(r"(\r|\\n)    at [^\r\n\\\"]*", "", log)

    def clean(self):
        shutil.rmtree(self.folder, ignore_errors=True)

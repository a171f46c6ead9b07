"""What a case is given: a client with room for many calls at once, functions, and the memory of the server."""

import concurrent.futures
import contextlib
import io
import pathlib
import uuid
import zipfile

import boto3
from botocore.config import Config

KIB, MIB = 1 << 10, 1 << 20
AT_ONCE = 200


class World:
    def __init__(self, endpoint, pid):
        self.process, self.undo = pathlib.Path(f"/proc/{pid}"), contextlib.ExitStack()
        # Without a second try: nothing may fail.
        config = Config(retries={"max_attempts": 1}, max_pool_connections=AT_ONCE, read_timeout=120)
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        self.functions = boto3.client("lambda", endpoint_url=endpoint, region_name="eu-central-1", config=config, **keys)

    def function(self, file, code, **more):
        name, packed = f"load-{uuid.uuid4().hex[:12]}", io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(file, code)
        role = "arn:aws:iam::000000000000:role/any"
        made = {"Runtime": "python3.12", "Handler": "app.handler", "Role": role, "Timeout": 60, **more}
        self.functions.create_function(FunctionName=name, Code={"ZipFile": packed.getvalue()}, **made)
        self.undo.callback(self.functions.delete_function, FunctionName=name)
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    def at_once(self, many, ask):
        """What `ask(n)` gives for each number, all of them asked at the same time."""
        with concurrent.futures.ThreadPoolExecutor(many) as pool:
            return list(pool.map(ask, range(many)))

    def memory(self, line):
        """In bytes, of the server alone: `VmRSS` now, `VmHWM` at most since the last look from the beginning."""
        status = (self.process / "status").read_text()
        return int(status.split(f"{line}:")[1].split()[0]) * KIB

    @contextlib.contextmanager
    def memory_is_flat(self, peak, after):
        """It grows by so much at most meanwhile, and keeps so much of it at most."""
        before = self.memory("VmRSS")
        # From here on the highest mark is that of what follows.
        (self.process / "clear_refs").write_text("5")
        yield
        grown, kept = self.memory("VmHWM") - before, self.memory("VmRSS") - before
        print(f"        memory: {before / MIB:.1f} MiB before, {grown / MIB:+.1f} at most, {kept / MIB:+.1f} after", flush=True)
        assert grown <= peak and kept <= after, f"more than {peak / MIB:.0f} MiB at most, or than {after / MIB:.0f} after"

    def clean(self):
        self.undo.close()

"""What a case gets: clients of the server under test, fresh buckets, and words for failures."""

import contextlib
import datetime
import os
import subprocess
import sys
import tempfile
import unittest.mock
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

MIB = 1024 * 1024
PART = 5 * MIB


class World:
    def __init__(self, endpoint, access_key, secret_key):
        self.endpoint = endpoint.rstrip("/")
        self.access_key = access_key
        self.secret_key = secret_key
        self.client = self.connect()
        self._buckets = []

    def connect(self, access_key=None, secret_key=None, **config):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1, "mode": "standard"}, **config),
        )

    def bucket(self, *keys):
        """A new bucket, with an object under each key whose body is the key."""
        name = f"case-{uuid.uuid4().hex[:20]}"
        self.client.create_bucket(Bucket=name)
        self._buckets.append(name)
        for key in keys:
            self.client.put_object(Bucket=name, Key=key, Body=key.encode())
        return name

    def clean(self):
        for name in self._buckets:
            with contextlib.suppress(ClientError):
                for upload in self.client.list_multipart_uploads(Bucket=name).get("Uploads", []):
                    self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
                for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
                    for entry in page.get("Contents", []):
                        self.client.delete_object(Bucket=name, Key=entry["Key"])
                self.client.delete_bucket(Bucket=name)
        self._buckets.clear()

    def read(self, bucket, key, **more):
        return self.client.get_object(Bucket=bucket, Key=key, **more)["Body"].read()

    def presigned(self, operation, **params):
        """The operation's URL in both kinds of signature that clients make."""
        for version in ("s3", "s3v4"):
            yield self.connect(signature_version=version).generate_presigned_url(operation, Params=params, ExpiresIn=60)

    def aws(self, *arguments, ok=True):
        """Runs the AWS CLI and returns what it printed."""
        program = os.path.join(os.path.dirname(sys.executable), "aws")
        environment = dict(
            os.environ,
            AWS_ACCESS_KEY_ID=self.access_key,
            AWS_SECRET_ACCESS_KEY=self.secret_key,
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        )
        command = [program, "--endpoint-url", self.endpoint, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        if ok:
            assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr or done.stdout}"
        else:
            assert done.returncode != 0, f"aws {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stdout + ("" if ok else done.stderr)

    @contextlib.contextmanager
    def folder(self, **files):
        """A temporary folder with files; `__` in a name stands for a slash, a trailing `_txt` for `.txt`."""
        with tempfile.TemporaryDirectory() as path:
            for name, content in files.items():
                full = os.path.join(path, name.replace("__", "/").replace("_txt", ".txt"))
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "wb") as out:
                    out.write(content)
            yield path


@contextlib.contextmanager
def refused(code, status=None):
    """The body must fail with this S3 error code (a HEAD has no body: then the status is the code)."""
    try:
        yield
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"wanted {code}, got {found}: {error}"
        if status is not None:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error.response
        return
    raise AssertionError(f"wanted the error {code}, and it succeeded")


def http(method, url, body=None, **headers):
    """A plain HTTP request; returns status, headers and body."""
    # Else urllib says that the body is a form, which an older presigned URL has not signed.
    headers = {"Content-Type": ""} | {name.replace("_", "-").title(): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def signed_url(world, method, path, access_key=None, expires_s=60, at=None, **query):
    """A presigned URL for what boto3 itself would refuse to sign."""
    moment = at or datetime.datetime.now(datetime.timezone.utc)
    request = AWSRequest(method, f"{world.endpoint}/{path}", params=query)
    signer = S3SigV4QueryAuth(Credentials(access_key or world.access_key, world.secret_key), "s3", "us-east-1", expires=expires_s)
    with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(request)
    return request.prepare().url


def keys(listing):
    return [entry["Key"] for entry in listing.get("Contents", [])]


def prefixes(listing):
    return [entry["Prefix"] for entry in listing.get("CommonPrefixes", [])]


def pattern(size):
    """Bytes that repeat with no power of two, so that a shifted range shows."""
    unit = bytes(range(251))
    return (unit * (size // len(unit) + 1))[:size]

"""What a case is given: clients of the server under test, with a key that nobody knows, one that is the server's, and fresh names."""

import contextlib
import uuid

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class World:
    def __init__(self, endpoint, access_key, secret_key):
        self.endpoint, self.undo = endpoint, contextlib.ExitStack()
        self.credentials = Credentials(access_key, secret_key)

    def client(self, service):
        config = Config(retries={"max_attempts": 1}, connect_timeout=10, read_timeout=60)
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, config=config, **KEYS)

    def name(self, what):
        return f"{what}-{uuid.uuid4().hex[:12]}"

    def queue(self, suffix="", **attributes):
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=self.name("case") + suffix, Attributes=attributes)["QueueUrl"]

        def delete():
            with contextlib.suppress(ClientError):
                sqs.delete_queue(QueueUrl=url)

        self.undo.callback(delete)
        return url

    def clean(self):
        self.undo.close()


@contextlib.contextmanager
def refused(code, status=400):
    """That is the error, and nothing else."""
    try:
        yield
    except ClientError as error:
        found = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == (code, status), f"{found}, not {(code, status)}: {error}"
        return
    raise AssertionError(f"it was not refused with {code}")

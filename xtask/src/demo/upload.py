"""Uploads a photograph twice and waits for each thumbnail; one line of JSON per step.

Argument: the photograph. The endpoint and the keys come from the environment, as for any AWS client.
"""

import io
import json
import sys
import time

import boto3
from botocore.exceptions import ClientError
from PIL import Image

SIDE = 320
WAIT_S = 60


def told(step, begun, note=""):
    print(json.dumps({"step": step, "ms": (time.monotonic() - begun) * 1000, "note": note}), flush=True)


def wait_for(s3, bucket, key):
    """The object, as soon as it is there."""
    end, pause = time.monotonic() + WAIT_S, 0.002
    while True:
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
        if time.monotonic() > end:
            sys.exit(f"no object {key} in the bucket {bucket} after {WAIT_S} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def main(path):
    with open(path, "rb") as file:
        photo = file.read()
    width, height = Image.open(io.BytesIO(photo)).size
    begun = time.monotonic()
    s3 = boto3.client("s3")
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in ("photos", "thumbnails"):
        if bucket not in there:
            s3.create_bucket(Bucket=bucket)
    told("make the buckets photos and thumbnails", begun)

    run = int(time.time())
    for temperature in ("cold", "warm"):
        key = f"{run}/{temperature}.jpg"
        begun = time.monotonic()
        s3.put_object(Bucket="photos", Key=key, Body=photo, ContentType="image/jpeg")
        told(f"upload {key} with boto3", begun, f"{width} x {height}, {len(photo)} bytes")
        begun = time.monotonic()
        small = Image.open(io.BytesIO(wait_for(s3, "thumbnails", key)))
        small.load()
        told(f"wait for its thumbnail ({temperature})", begun, f"{small.width} x {small.height}")
        wanted = (SIDE, SIDE * height / width) if width >= height else (SIDE * width / height, SIDE)
        if small.format != "JPEG" or any(abs(a - b) > 1 for a, b in zip(small.size, wanted)):
            sys.exit(f"the thumbnail is a {small.format} of {small.size}, wanted a JPEG of about {wanted}")


main(sys.argv[1])

"""AWS's own story of S3 and Lambda: whoever puts a photograph into one bucket finds its thumbnail in another."""

import io
import os
import urllib.parse

import boto3
from PIL import Image

SIDE = 320
s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        # As a form has it: a space is a plus.
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        photo = Image.open(s3.get_object(Bucket=bucket, Key=key)["Body"])
        photo.thumbnail((SIDE, SIDE))
        small = io.BytesIO()
        photo.save(small, "JPEG")
        s3.put_object(Bucket=os.environ["THUMBNAILS"], Key=key, Body=small.getvalue(), ContentType="image/jpeg")
        print(f"{key}: {photo.width} x {photo.height}")

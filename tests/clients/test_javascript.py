"""The AWS SDK for JavaScript, version 3."""

from world import FORMULA


def test_client_lambda(world):
    world.write(app_py=FORMULA)
    world.pack("app.zip", "app.py")
    world.javascript("lambda.mjs", world.name(), world.folder / "app.zip")


def test_client_s3(world):
    world.javascript("s3.mjs", world.name("bucket"))

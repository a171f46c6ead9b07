"""Chalice's own `deploy`, `invoke`, `logs` and `delete`."""

import json

from world import EVENT

APP = """
from chalice import Chalice

app = Chalice(app_name="{name}")


@app.lambda_function(name="formula")
def formula(event, context):
    print("asked")
    return (event["a"] + event["b"]) * event["c"]
"""


def project(world, app=APP, **config):
    name = world.name("app")
    world.write(
        app_py=app.replace("{name}", name),
        requirements_txt="",
        **{".chalice__config_json": json.dumps({"version": "2.0", "app_name": name, "stages": {"dev": {}}, **config})},
    )
    return name


def test_functions_are_deployed_called_changed_and_deleted(world):
    name = project(world)
    assert f":function:{name}-dev-formula" in world.run("chalice", "deploy")
    assert json.loads(world.run("chalice", "invoke", "--name", "formula", stdin=json.dumps(EVENT))) == 9
    assert "asked" in world.run("chalice", "logs", "--name", "formula")
    world.write(app_py=APP.replace("{name}", name).replace("*", "-"))
    assert "Updating lambda function" in world.run("chalice", "deploy")
    assert json.loads(world.run("chalice", "invoke", "--name", "formula", stdin=json.dumps(EVENT))) == 0
    assert "KeyError" in world.run("chalice", "invoke", "--name", "formula", stdin="{}", fails=True)
    world.run("chalice", "delete")
    assert "ResourceNotFoundException" in world.aws("lambda", "get-function", "--function-name", f"{name}-dev-formula", fails=True)


def test_a_role_of_ones_own_is_taken(world):
    role = "arn:aws:iam::000000000000:role/mine"
    name = project(world, manage_iam_role=False, iam_role_arn=role, lambda_timeout=7, environment_variables={"MODE": "x"})
    world.run("chalice", "deploy")
    told = world.json("lambda", "get-function-configuration", "--function-name", f"{name}-dev-formula")
    assert (told["Role"], told["Timeout"], told["Environment"]["Variables"]["MODE"]) == (role, 7, "x"), told
    world.run("chalice", "delete")

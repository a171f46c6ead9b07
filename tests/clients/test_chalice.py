"""Chalice's own `deploy`, `invoke`, `logs` and `delete`; and its folders by `mote deploy`."""

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


REST = """
from chalice import Chalice, NotFoundError

app = Chalice(app_name="{name}")


@app.route("/")
def index():
    return {"stage": app.current_request.context["stage"]}


@app.route("/items/{id}", methods=["GET", "PUT"], cors=True)
def item(id):
    asked = app.current_request
    if id == "none":
        raise NotFoundError("no item")
    return {"id": id, "method": asked.method, "path": asked.context["resourcePath"], "query": asked.query_params and dict(asked.query_params)}
"""


def address(world, name):
    """Where the stage answers of the API whose id Chalice prints."""
    told = [api for api in world.json("apigateway", "get-rest-apis")["items"] if api["name"] == name]
    return f"/execute-api/{told[0]['id']}/api", told[0]["id"]


def test_a_rest_api_is_deployed_called_changed_and_deleted(world):
    name = project(world, REST)
    said = world.run("chalice", "deploy")
    base, id = address(world, name)
    assert f"https://{id}.execute-api." in said, said
    status, headers, text = world.ask(f"{base}/items/a%20b?q=1")
    assert (status, json.loads(text)) == (200, {"id": "a b", "method": "GET", "path": "/items/{id}", "query": {"q": "1"}}), text
    assert headers["access-control-allow-origin"] == "*"
    assert json.loads(world.ask(f"/restapis/{id}/api/_user_request_/")[2]) == {"stage": "api"}
    assert json.loads(world.ask("/api/items/c", "PUT", Host=f"{id}.execute-api.localhost")[2])["method"] == "PUT"
    assert world.ask(f"{base}/items/none")[0] == 404
    for path, method in [("/nothing", "GET"), ("/items/c", "DELETE")]:
        assert (403, "Missing Authentication Token") == (world.ask(base + path, method)[0], json.loads(world.ask(base + path, method)[2])["message"])
    asked = world.ask(f"{base}/items/c", "OPTIONS", Origin="http://a.example", Access_Control_Request_Method="PUT")
    assert asked[0] == 200 and asked[1]["access-control-allow-methods"] == "GET,PUT,OPTIONS", asked[1]
    # A second deploy changes it in its place.
    world.write(app_py=REST.replace("{name}", name).replace('"/items/', '"/things/'))
    assert "Updating rest API" in world.run("chalice", "deploy")
    assert (world.ask(f"{base}/items/c")[0], world.ask(f"{base}/things/c")[0]) == (403, 200)
    resources = world.json("apigateway", "get-resources", "--rest-api-id", id)["items"]
    assert [one["path"] for one in resources] == ["/", "/things", "/things/{id}"], resources
    assert world.json("apigateway", "get-stages", "--rest-api-id", id)["item"][0]["stageName"] == "api"
    world.run("chalice", "delete")
    assert world.ask(f"{base}/")[0] == 403
    assert "NotFoundException" in world.aws("apigateway", "get-rest-api", "--rest-api-id", id, fails=True)


def test_what_would_let_anybody_in_is_refused(world):
    guarded = REST.replace('@app.route("/")', '@app.route("/", api_key_required=True)')
    project(world, guarded)
    assert "it is not for everybody" in world.run("chalice", "deploy", fails=True)


EVENTS = """
from chalice import Chalice, Rate

app = Chalice(app_name="{name}")


@app.on_s3_event(bucket="{name}", suffix=".jpg")
def photo(event):
    print("stored:", event.key)


@app.on_sqs_message(queue="{name}", batch_size=2)
def job(event):
    print("queued:", [record.body for record in event])


@app.on_sns_message(topic="{name}")
def heard(event):
    print("told:", event.message)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def tick(event):
    print("fired:", event.detail_type)
"""


def all_fire(world, name):
    """What is stored, sent, published and scheduled reaches the functions."""
    world.write(a_jpg="x")
    world.aws("s3", "cp", "a.jpg", f"s3://{name}/a.jpg")
    queue = world.json("sqs", "get-queue-url", "--queue-name", name)["QueueUrl"]
    world.aws("sqs", "send-message", "--queue-url", queue, "--message-body", "sweep")
    topic = world.json("sns", "create-topic", "--name", name)["TopicArn"]
    world.aws("sns", "publish", "--topic-arn", topic, "--message", "news")
    expected = {"photo": "stored: a.jpg", "job": "queued: ['sweep']", "heard": "told: news", "tick": "fired: Scheduled Event"}
    for function, said in expected.items():
        world.until(said, lambda: said in world.mote("logs", f"{name}-dev-{function}"))


def test_what_events_fire_is_deployed_and_fires(world):
    name = project(world, EVENTS, lambda_timeout=20)
    world.aws("s3", "mb", f"s3://{name}")
    world.aws("sqs", "create-queue", "--queue-name", name)
    world.aws("sns", "create-topic", "--name", name)
    world.run("chalice", "deploy")
    all_fire(world, name)
    # A second time, over the first.
    world.run("chalice", "deploy")
    world.run("chalice", "delete")
    assert world.json("lambda", "list-event-source-mappings")["EventSourceMappings"] == []


def test_a_folder_is_deployed_without_chalice_too(world):
    name = project(world, EVENTS + REST.split("\n\n\n", 1)[1].replace('"/', '"/{name}/').replace("NotFoundError", "KeyError"))
    told = json.loads(world.mote("deploy", ".", "--json"))
    names = sorted(one["name"] for one in told["functions"])
    assert names == sorted([f"{name}-dev", *(f"{name}-dev-{one}" for one in ["photo", "job", "heard", "tick"])]), told
    assert json.loads(world.ask(f"/{name}/items/a")[2])["id"] == "a"
    all_fire(world, name)

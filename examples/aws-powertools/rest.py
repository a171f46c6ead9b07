from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

app = APIGatewayRestResolver()
logger = Logger(service="todos")


@app.get("/rest/todos/<todo>")
def todo(todo: str):
    if todo == "none":
        raise NotFoundError("no such todo")
    logger.info("asked for", extra={"todo": todo})
    event = app.current_event
    return {"todo": todo, "table": event.stage_variables["table"], "all": event.get_multi_value_query_string_values("tag")}


@app.post("/rest/todos")
def add():
    return Response(status_code=201, content_type="text/plain", body=app.current_event.json_body["title"], headers={"X-From": app.current_event.request_context.identity.source_ip})


@logger.inject_lambda_context
def handler(event, context):
    return app.resolve(event, context)

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

app = APIGatewayHttpResolver()


@app.get("/http/todos/<todo>")
def todo(todo: str):
    http = app.current_event.request_context.http
    return {"todo": todo, "method": http.method, "route": app.current_event.route_key, "cookies": app.current_event.cookies}


def handler(event, context):
    return app.resolve(event, context)

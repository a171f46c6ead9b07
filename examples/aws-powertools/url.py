from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

app = LambdaFunctionUrlResolver()


@app.get("/todos/<todo>")
def todo(todo: str):
    return {"todo": todo, "account": app.current_event.request_context.account_id}


def handler(event, context):
    return app.resolve(event, context)

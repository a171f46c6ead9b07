import json


def shipping(event) -> dict:
    """Ships what was ordered; an order that it can't read is named, and comes again alone."""
    failed = []
    for message in event["data"]["messages"]:
        try:
            order = json.loads(message["body"])
            print(f"{order['pieces']} {order['article']} to {order['to']}")
        except (ValueError, KeyError):
            failed.append(message["id"])
    return {"failed": failed}

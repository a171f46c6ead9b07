"""What others post, once its signature was found right: these functions see nothing that was forged."""


def pushed(event):
    # What GitHub calls it is the event's subject: push, issues, release, …
    if event["subject"] == "push":
        push = event["data"]
        print(f"{push['pusher']['name']} pushed {push['ref']} to {push['repository']['full_name']}")


def ledger(event):
    # A CloudEvent that was signed on its way keeps its type.
    print(f"{event['type']}: {event['data']['total']}")

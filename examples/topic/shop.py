"""A shop that tells a topic what was paid, and two that listen: one to all of it, one to what is large."""

import json
from urllib.request import Request, urlopen


def checkout(buyer: str, total: float) -> dict:
    order = json.dumps({"buyer": buyer, "total": total}).encode()
    headers = {"content-type": "application/json", "ce-type": "order.paid"}
    # The platform's own host: it answers when every delivery is on disk.
    with urlopen(Request("http://events.mote/topics/orders", data=order, headers=headers)) as answer:
        return {"told": json.load(answer)["deliveries"]}


def receipt(event):
    order = event["data"]
    print(f"a receipt for {order['buyer']}: {order['total']}")


def thanks(event):
    print(f"flowers for {event['data']['buyer']}")

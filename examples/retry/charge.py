def charge(account: str, amount: float, context) -> dict:
    if amount < 0:
        raise ValueError(f"{amount} can't be charged")
    # The first two attempts fail, as a bank that is busy would.
    if context.attempt < 3:
        raise ConnectionError("the bank is busy")
    return {"account": account, "charged": amount, "attempts": context.attempt}


def receipt(event) -> None:
    print("a receipt for", event["data"]["account"])


def alarm(event) -> None:
    print("given up:", event["data"]["error"]["code"], "after", event["data"]["attempts"], "attempts")

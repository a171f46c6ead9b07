import os


def greeter(name: str) -> str:
    # The value of the secret `salutation`: in no manifest, no bundle and no log.
    return f"{os.environ['SALUTATION']}, {name}!"

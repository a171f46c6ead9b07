"""A function as anybody would write it."""

import requests


def get(url: str):
    try:
        answer = requests.get(url, timeout=5)
    except requests.RequestException as error:
        return {"refused": str(error)}
    return {"status": answer.status_code, "text": answer.text}

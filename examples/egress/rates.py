RATES = {"food": 0.07, "books": 0.07, "tools": 0.19}


def rates(kind: str) -> float:
    return RATES.get(kind, 0.19)

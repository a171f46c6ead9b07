def formula(a: float, b: float, c: float) -> float:
    """F = (A + B) * C."""
    return (a + b) * c

def greet(name: str = "world", times: int = 1) -> dict:
    """Greets somebody, once or several times."""
    return {"greeting": " ".join([f"Hello, {name}!"] * times)}

"""The Python runner: `serve` carries calls, `plain` gives them their meaning."""

"""Looks for the victim's words in every file and environment there is."""

import os

WORDS = [b"the-victims-own-" + end for end in (b"words", b"code", b"secret", b"file")]
SKIPPED = ("/usr/lib", "/usr/share", "/usr/include", "/usr/bin", "/usr/sbin", "/usr/local", "/proc/sys", "/root", "/home", "/opt")


def run():
    found, searched = [], 0
    for directory, below, files in os.walk("/"):
        if directory.startswith(SKIPPED) or directory.startswith(f"/proc/{os.getpid()}"):
            below.clear()
            continue
        for name in files:
            path = os.path.join(directory, name)
            if path in ("/code/case.py", "/proc/kmsg"):
                continue
            try:
                with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                    text = file.read(1 << 20) or b""
                searched += 1
            except Exception:  # whatever keeps it from being read
                continue
            if any(word in text for word in WORDS):
                found.append(path)
    for variable, value in os.environ.items():
        if any(word in value.encode() for word in WORDS):
            found.append(variable)
    return {"found": found, "searched": searched}

"""Links from the one place that can be written to all the others."""

import os

from kit import attempts


def through(target, path=""):
    name = f"/tmp/link-{abs(hash((target, path)))}"
    os.symlink(target, name)
    with open(name + path, "r+b") as file:
        file.write(b"x")


def listed(target):
    name = f"/tmp/list-{abs(hash(target))}"
    os.symlink(target, name)
    return os.listdir(name)


def hard(target):
    os.link(target, "/tmp/hard-" + target.replace("/", "-"))


def climbed():
    os.makedirs("/tmp/a/b", exist_ok=True)
    os.chdir("/tmp/a/b")
    # Above the root there is the root.
    more = set(os.listdir("../" * 40)) - set(os.listdir("/"))
    if not more:
        raise PermissionError("the same root")
    return more


def run():
    return attempts(
        passwd=(through, "/etc/passwd"),
        code=(through, "/code/case.py"),
        up=(through, "../../../../etc/passwd"),
        init=(through, "/proc/1/root", "/etc/passwd"),
        shadow=(through, "/etc/shadow"),
        home=(listed, "/root"),
        data=(listed, "/var"),
        run=(listed, "/run"),
        hard_passwd=(hard, "/etc/passwd"),
        hard_code=(hard, "/code/case.py"),
        hard_program=(hard, "/usr/bin/env"),
        climbed=(climbed,),
    )

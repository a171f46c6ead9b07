"""What /proc and /sys tell of others, and what can be written there."""

import os

from kit import attempts

INIT = ["environ", "maps", "mem", "root", "cwd", "exe", "fd", "ns/mnt", "ns/net", "auxv", "stack", "map_files", "io"]


def looked(path):
    if os.path.islink(path):
        return os.readlink(path)
    if os.path.isdir(path):
        return os.listdir(path)
    with open(path, "rb") as file:
        said = file.read(64)
    if not said:
        raise PermissionError("empty")
    return said


def written(path, text="1"):
    with open(path, "w") as file:
        file.write(text)


def own_program():
    """The file that this process runs, past its read-only mount."""
    with open("/proc/self/exe", "r+b"):
        pass


def other_programs():
    """mote's own binary, by whoever in here might still run it."""
    for name in os.listdir("/proc"):
        if name.isdigit() and name not in (str(os.getpid()), str(os.getppid())):
            return os.open(f"/proc/{name}/exe", os.O_RDONLY)
    raise FileNotFoundError


def names_of_the_host():
    """Processes beyond this one, its parents in here, and its child."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if len(pids) > 6 or max(pids) > 30_000:
        return pids
    raise FileNotFoundError


def run(server):
    found = {f"init_{name}": (looked, f"/proc/1/{name}") for name in INIT}
    found |= {f"server_{name}": (looked, f"/proc/{server}/{name}") for name in ("environ", "cmdline", "status")}
    found |= {
        "shutdown_by_key": (written, "/proc/sysrq-trigger", "b"),
        "core_pattern": (written, "/proc/sys/kernel/core_pattern", "|/code/x"),
        "module_helper": (written, "/proc/sys/kernel/modprobe", "/code/x"),
        "namespaces": (written, "/proc/sys/user/max_user_namespaces", "1000"),
        "formats": (written, "/proc/sys/fs/binfmt_misc/register", ":x:M::x::/code/x:"),
        "panic": (written, "/proc/sys/kernel/panic", "1"),
        "host_name": (written, "/proc/sys/kernel/hostname", "mine"),
        "ports": (written, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
        "score": (written, "/proc/self/oom_score_adj", "-1000"),
        "init_score": (written, "/proc/1/oom_score_adj", "1000"),
        "kernel_memory": (looked, "/proc/kcore"),
        "kernel_pages": (looked, "/proc/kpageflags"),
        "firmware": (looked, "/sys/firmware"),
        "sys": (looked, "/sys"),
        "cgroups": (looked, "/sys/fs/cgroup"),
        "debug": (looked, "/sys/kernel/debug"),
        "own_program": (own_program,),
        "other_programs": (other_programs,),
        "names_of_the_host": (names_of_the_host,),
    }
    return attempts(**found)

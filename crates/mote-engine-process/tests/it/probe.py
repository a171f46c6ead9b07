import ctypes, errno, json, os, resource, socket, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))


def tries(action):
    try:
        action()
        return True
    except OSError:
        return False


def writable(path):
    name = os.path.join(path, "written")
    def write():
        with open(name, "w") as file:
            file.write("x")
        os.unlink(name)
    return tries(write)


def network():
    """Whoever is meant, mote answers; and it ends what is not allowed."""
    try:
        with socket.create_connection(("192.0.2.1", 80), timeout=5) as connection:
            return connection.recv(1).hex()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def gateway():
    with socket.create_connection(("127.0.0.1", 4566), timeout=5) as connection:
        return connection.makefile().read()


def tmp_ends():
    try:
        with open("/tmp/a", "wb") as a, open("/tmp/b", "wb") as b:
            for _ in range(3):
                a.write(bytes(1 << 20))
                b.write(bytes(1 << 20))
                a.flush(), b.flush()
        return False
    except OSError as error:
        return error.errno == errno.ENOSPC
    finally:
        os.unlink("/tmp/a"), os.unlink("/tmp/b")


everywhere = [root for root, _, _ in os.walk("/") if root.count("/") <= 2 and not root.startswith("/proc")] + ["/proc", "/proc/sys", "/proc/1"]
umask = os.umask(0)
os.umask(umask)
seen = {
    "uid": os.getuid(),
    "gid": os.getgid(),
    "can become root": tries(lambda: os.setuid(0)),
    "capabilities": [status[name].strip().lstrip("0") or "0" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no new privileges": int(status["NoNewPrivs"]),
    "can make a user namespace": libc.unshare(0x10000000) == 0,
    "can mount": libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0,
    "can unmount": [path for path in ("/tmp", "/proc", "/code", "/etc", "/usr", "/") if libc.umount2(path.encode(), 2) == 0],
    "can write to": sorted(path for path in everywhere if writable(path)),
    "sees of the host": [p for p in (PLACE, "/root", "/home", "/etc/shadow", "/etc/hostid", "/var", "/run", "/sys/kernel", "/dev/sda", "/dev/kmsg", "/dev/mem") if os.path.lexists(p)],
    "sees secret": any("secret" in files for root, _, files in os.walk("/tmp")) or os.path.exists(PLACE + "/secret"),
    "can trace init": libc.ptrace(16, 1, 0, 0) == 0,
    "can open init's binary": tries(lambda: os.close(os.open("/proc/1/exe", os.O_RDONLY))),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "network": network(),
    "gateway": gateway(),
    "hostname": socket.gethostname(),
    "cwd": os.getcwd(),
    "open files": [fd for fd in range(100) if tries(lambda: os.fstat(fd))],
    "ignored signals": status["SigBlk"].strip().lstrip("0") or "0",
    "limits": [resource.getrlimit(which)[1] for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_CORE)],
    "tmp ends": tmp_ends(),
    "umask": umask,
    "session leader": os.getsid(0) == os.getpid(),
    "environment": sorted(name for name in os.environ if name not in ("LC_CTYPE",)),
    "pids": [name for name in os.listdir("/proc") if name.isdigit()],
    "root": sorted(os.listdir("/")),
    "layers": os.path.exists("/opt"),
}
print(json.dumps(seen))

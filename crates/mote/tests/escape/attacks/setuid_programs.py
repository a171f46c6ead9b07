"""Programs with the setuid bit: who are they once they run?"""

import os
import subprocess

PLACES = ["/usr/bin", "/usr/sbin", "/bin", "/usr/lib/openssh", "/usr/lib/dbus-1.0", "/usr/libexec"]


def ids(pid):
    with open(f"/proc/{pid}/status") as status:
        lines = [line.split()[1:] for line in status if line.startswith(("Uid", "Gid", "CapEff"))]
    return {word for line in lines for word in line}


def run():
    own = ids("self")
    programs = []
    for place in PLACES:
        try:
            for name in os.listdir(place):
                path = os.path.join(place, name)
                if os.path.isfile(path) and os.stat(path).st_mode & 0o6000:
                    programs.append(path)
        except OSError:
            pass
    # One of its own making, which belongs to whom the function is.
    with open("/bin/cat", "rb") as source, open("/tmp/cat", "wb") as copy:
        copy.write(source.read())
    for mode in (0o755, 0o6755):
        try:
            os.chmod("/tmp/cat", mode)
        except OSError:
            pass
    gained, tried = [], []
    for path in [*programs, "/tmp/cat"]:
        try:
            process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            tried.append(path)
            continue
        tried.append(path)
        try:
            if ids(process.pid) - own:
                gained.append(path)
        except OSError:
            pass  # it has ended
        process.kill()
        process.wait()
    return {"tried": tried, "gained": gained}

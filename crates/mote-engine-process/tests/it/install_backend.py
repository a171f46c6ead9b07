# A build backend that does what a package's own code may: anything. PLACE and ACTION come before this line.
import os, subprocess, zipfile


def tries(action):
    try:
        action()
        return True
    except OSError:
        return False


def writes(directory):
    return tries(lambda: open(os.path.join(directory, "mote-wrote-this"), "w").close())


def look():
    mine = {os.getpid(), 1}
    parent = os.getppid()
    while parent > 1:
        mine.add(parent)
        with open(f"/proc/{parent}/stat") as stat:
            parent = int(stat.read().rsplit(")", 1)[1].split()[1])
    return {
        "uid": os.getuid(),
        "secret": os.path.exists(PLACE + "/secret"),
        "wrote": [path for path in ("/", "/etc", "/usr", "/usr/lib", "/root", "/home", "/var", PLACE) if writes(path)],
        "pids of others": [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in mine],
    }


def build_wheel(directory, config_settings=None, metadata_directory=None):
    seen = look()
    if ACTION == "link":
        os.symlink("/tmp", "/code/site-packages")
    if ACTION.startswith("sleep "):
        subprocess.Popen(ACTION.split(), start_new_session=True)
        subprocess.run(ACTION.split())
    name = "dep-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("seen.py", f"SEEN = {seen!r}\n")
        wheel.writestr("dep-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: dep\nVersion: 1\n")
        wheel.writestr("dep-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: dep\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("dep-1.dist-info/RECORD", "")
    return name

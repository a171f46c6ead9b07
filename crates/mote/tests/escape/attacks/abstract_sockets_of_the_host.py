"""Services of the host that listen where a namespace, and not a file's mode, decides who comes."""

import socket

from kit import attempts, reached


def run(what):
    name, path, port = what.split()

    def connected(address):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(address)

    return attempts(
        abstract=(connected, f"\0{name}"),
        on_disk=(connected, path),
        docker=(connected, "/var/run/docker.sock"),
        bus=(connected, "/run/dbus/system_bus_socket"),
        loopback=(reached, "127.0.0.1", int(port)),
        other_loopback=(reached, "127.0.0.2", int(port)),
        mapped=(reached, "::ffff:127.0.0.1", int(port)),
        loopback_v6=(reached, "::1", int(port)),
        nowhere=(reached, "0.0.0.0", int(port)),
        own_address=(reached, "198.51.100.2", int(port)),
    )

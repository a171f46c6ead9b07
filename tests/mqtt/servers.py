"""Servers that a case starts for itself: a mote with a bridge, and the broker that it is bridged to."""

import json
import os
import socket
import subprocess
import threading

PATIENCE = 30


class Mosquitto:
    """On one port of the loopback, over its restarts; what it holds is on disk when it was stopped."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # Nobody is asked for one.
        self.token = ""
        self.config = os.path.join(folder, "mosquitto.conf")
        with open(self.config, "w") as out:
            # As who it was started by: else root's folder would not be its own.
            out.write(
                f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser {'root' if os.getuid() == 0 else 'mosquitto'}\n"
                f"persistence true\npersistence_location {folder}/\nlog_dest stderr\nlog_type all\nmax_queued_messages 0\n"
            )
        self.start()

    def start(self):
        self.lines, self.more, self.ended = [], threading.Condition(), False
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()
        try:
            self.says(" running")
        except AssertionError:
            self.stop()
            raise

    def read(self, process):
        for line in process.stdout:
            with self.more:
                self.lines.append(line)
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def says(self, text):
        """Waits until its log has this."""
        with self.more:
            there = self.more.wait_for(lambda: self.ended or any(text in line for line in self.lines), PATIENCE)
            assert there and any(text in line for line in self.lines), f"no {text!r} in:\n{''.join(self.lines)}"

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    clean = stop


class Mote:
    def __init__(self, program, data, bridge):
        doors = [word for door in ("--public", "--control", "--aws", "--mqtt") for word in (door, "127.0.0.1:0")]
        environment = dict(os.environ, MOTE_MQTT_BRIDGE=bridge)
        command = [program, "serve", "--json", "--data", data, *doors]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        ready = json.loads(self.process.stdout.readline())
        self.port, self.token = int(ready["mqtt"].rsplit(":", 1)[1]), ready["token"]

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    clean = kill

"""What a case is given: clients of one version, and topics that no other case uses."""

import queue
import subprocess
import tempfile
import threading
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 20
QUIET = 0.5


class Client:
    """A paho client; its network runs in a thread of its own."""

    def __init__(self, world, name=None, clean=True, will=None, password=None, expiry=3600, server=None, got=None):
        is_v5 = world.version == "5"
        server = server or world
        self.got = got or queue.Queue()
        self.told, self.connected, self.left = queue.Queue(), threading.Event(), threading.Event()
        self.paho = paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name or world.name(),
            protocol=mqtt.MQTTv5 if is_v5 else mqtt.MQTTv311,
            **({} if is_v5 else {"clean_session": clean}),
        )
        paho.username_pw_set("default", server.token if password is None else password)
        if will:
            paho.will_set(**will)
        paho.on_message = lambda _, __, message: self.got.put(message)
        paho.on_connect = self.on_connect
        paho.on_disconnect = lambda *_: self.left.set()
        paho.on_subscribe = lambda _, __, ___, codes, ____: self.told.put(codes)
        options = {}
        if is_v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else expiry
            options = {"clean_start": clean, "properties": properties}
        paho.connect("127.0.0.1", server.port, keepalive=30, **options)
        paho.loop_start()
        world.clients.append(self)
        assert self.connected.wait(PATIENCE), "no CONNACK"

    def on_connect(self, _, __, flags, reason, ___):
        self.reason, self.present = reason, flags.session_present
        self.connected.set()

    def subscribe(self, topic, qos=0, **options):
        self.paho.subscribe(topic, qos, **options)
        return self.told.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos=0, **options):
        """Returns when it is acknowledged, as far as its QoS has it."""
        info = self.paho.publish(topic, payload, qos, **options)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def next(self):
        return self.got.get(timeout=PATIENCE)

    def texts(self, count):
        return [self.next().payload.decode() for _ in range(count)]

    def nothing(self):
        try:
            message = self.got.get(timeout=QUIET)
        except queue.Empty:
            return
        raise AssertionError(f"{message.topic} {message.payload} came")

    def leave(self):
        self.paho.disconnect()
        assert self.left.wait(PATIENCE)
        self.paho.loop_stop()

    def fall(self):
        """Goes without a word."""
        self.paho.loop_stop()
        self.paho._sock_close()


class World:
    def __init__(self, port, token, version, mote):
        self.port, self.token, self.version, self.mote = port, token, version, mote
        self.clients, self.processes, self.servers, self.folders = [], [], [], []

    @property
    def is_v5(self):
        return self.version == "5"

    def name(self):
        return uuid.uuid4().hex[:12]

    def client(self, *args, **kwargs):
        return Client(self, *args, **kwargs)

    def tool(self, name, *args, **kwargs):
        version = "mqttv5" if self.is_v5 else "mqttv311"
        # What it says comes line by line, though it is no terminal that listens.
        command = ["stdbuf", "-oL", name, "-p", str(self.port), "-V", version, "-u", "default", "-P", self.token, *args]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
        self.processes.append(process)
        return process

    def serve(self, server):
        self.servers.append(server)
        return server

    def folder(self):
        self.folders.append(tempfile.TemporaryDirectory())
        return self.folders[-1].name

    def clean(self):
        for client in self.clients:
            try:
                client.paho.disconnect()
                client.paho.loop_stop()
            except Exception:
                pass
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for server in self.servers:
            server.clean()
        for folder in self.folders:
            folder.cleanup()

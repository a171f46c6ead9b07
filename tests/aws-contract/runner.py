"""One of mote's own runners, spoken to as the engine does: frames over the socket that is its descriptor 3."""

import json
import os
import queue
import socket
import struct
import subprocess
import threading

from outcome import PATIENCE_S, Answer, Outcome

START, CALL, CREDIT = 1, 2, 8
READY, START_FAILED, REPLY, REPLY_OPEN, CHUNK, END, FAILED, LOG = 64, 65, 66, 67, 68, 69, 70, 71
HEADER = struct.Struct("<IBI")
ID = 7


class Runner:
    def __init__(self, command, begin):
        self.command, self.begin = command, begin

    def run(self, handler, events, head):
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        given = {"pass_fds": [3], "preexec_fn": lambda: os.dup2(theirs.fileno(), 3)}
        process = subprocess.Popen(self.command, **self.begin, stdout=subprocess.PIPE, **given)
        theirs.close()
        printed = queue.Queue()
        threading.Thread(target=lambda: printed.put(process.stdout.read()), daemon=True).start()
        self.socket, self.stream, self.log = ours, ours.makefile("rb"), []
        try:
            answers = self.calls(handler, events, head)
            status = process.wait(PATIENCE_S) if self.ends(answers) else None
        finally:
            process.kill()
            process.wait()
            self.stream.close()
            ours.close()
        return Outcome(answers, status, b"".join(self.log).decode() + printed.get(timeout=PATIENCE_S).decode())

    def ends(self, answers):
        """Whether the process is gone, or about to be: what it is asked then it no longer hears."""
        if answers[-1].kind in ("init", "exit"):
            return True
        log = len(self.log)
        try:
            # A call with nothing in it fails at once.
            self.send(CALL, ID + 1, b"\x02\x00\x00\x00{}")
            if self.answer() is None:
                return True
        except OSError:
            return True
        del self.log[log:]
        return False

    def calls(self, handler, events, head):
        start = {"dialect": "aws", "entry": handler, "function": "orders", "version": 1, "namespace": "default", "concurrency": 1, "dev": False}
        self.send(START, 0, json.dumps(start).encode())
        kind, payload = self.receive()
        if kind == START_FAILED:
            return [Answer("init", error=json.loads(payload)["document"])]
        assert kind == READY, f"frame {kind}: {payload!r}"
        answers, head = [], json.dumps(head).encode()
        for event in events:
            # What does not fit a frame the engine sends in pieces; no case here is as large.
            self.send(CALL, ID, struct.pack("<I", len(head)) + head + event)
            answers.append(self.answer() or Answer("exit"))
            if answers[-1].kind == "exit":
                break
        return answers

    def answer(self):
        opened, body = None, b""
        while True:
            kind, payload = self.receive()
            if kind is None:
                return None
            if kind in (REPLY, REPLY_OPEN):
                end = 4 + struct.unpack_from("<I", payload)[0]
                opened, body = json.loads(payload[4:end]), payload[end:]
            elif kind == CHUNK:
                body += payload
                self.send(CREDIT, ID, struct.pack("<I", len(payload)))
            if kind in (REPLY, END):
                return Answer("response", opened["type"], body)
            if kind == FAILED:
                error = json.loads(payload).get("document")
                return Answer("response", opened["type"], body, error) if opened else Answer("error", error=error)

    def receive(self):
        """The next frame that is no line of the log."""
        while header := self.stream.read(HEADER.size):
            size, kind, _ = HEADER.unpack(header)
            payload = self.stream.read(size)
            if kind != LOG:
                return kind, payload
            self.log.append(payload[1:])
        return None, b""

    def send(self, kind, call, payload):
        self.socket.sendall(HEADER.pack(len(payload), kind, call) + payload)

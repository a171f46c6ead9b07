# Speaks TCP and no good HTTP: what it says is told by the path.
import os, socket, threading, time

HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"Content-Length: 4\r\n\r\ngood"
SAYS = {
    b"/good": WHOLE,
    b"/garbage": bytes(range(256)) * 100,
    b"/silent-garbage": b"\0" * 10,
    b"/two": WHOLE + HEAD + b"Content-Length: 4\r\n\r\nevil",
    b"/long": HEAD + b"Content-Length: 4\r\n\r\ngoodevil",
    b"/both": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEAD + b"Content-Length: 4\r\n\r\nevil",
    b"/lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\ngood!",
    b"/negative": HEAD + b"Content-Length: -1\r\n\r\n",
    b"/huge": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
    b"/chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nx",
    b"/folded": HEAD + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    b"/switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"/old": b"HTTP/0.9 what\r\n\r\n",
    b"/status": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    b"/headers": HEAD + b"".join(b"x-%d: y\r\n" % i for i in range(500)) + b"Content-Length: 0\r\n\r\n",
}


def serve(connection):
    while one(connection):
        pass


def one(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        piece = connection.recv(65536)
        if not piece:
            return
        request += piece
    path = request.split(b" ")[1]
    if path == b"/endless-headers":
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 100)
    if path == b"/endless-hints":
        while True:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
    if path == b"/trickle":
        # Good as far as it goes: what is read late, all at once, is no reason for another answer.
        for byte in HEAD + b"x: y\r\n" * 100000:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
    if path == b"/close":
        return connection.close()
    if path == b"/reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return connection.close()
    if path == b"/early":
        # Before the body, of which it reads nothing.
        connection.sendall(WHOLE)
        return time.sleep(600)
    connection.sendall(SAYS[path])
    return True


def attend(connection):
    try:
        serve(connection)
    except OSError:
        pass


listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])), backlog=128)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=attend, args=(connection,), daemon=True).start()

"""As much of an MQTT broker as a client's test needs: 3.1.1 and 5, every quality of service."""

import itertools
import socketserver
import struct
import threading
from contextlib import contextmanager

from paho.mqtt.client import topic_matches_sub

from meter import wire

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(9, 15)
PASSWORD = b"secret"
BAD_PASSWORD = {4: 4, 5: 0x86}
NO_PROPERTIES = {4: b"", 5: b"\0"}


class Broker(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Session)
        self.tls = tls
        self.port = self.server_address[1]
        self.sessions = set()
        self.retained = {}

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            # The handshake belongs into the session's thread.
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request, address):
        """A client that breaks off is what some of the tests are about."""

    def publish(self, topic, payload, qos, retain):
        if retain:
            self.retained[topic] = payload
        for session in list(self.sessions):
            session.offer(topic, payload, qos, False)


class Session(socketserver.StreamRequestHandler):
    version = 4
    will = None

    def setup(self):
        super().setup()
        self.filters = {}
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()

    def handle(self):
        if self.server.tls:
            self.request.do_handshake()
        is_http = self.rfile.peek(1)[:1] == b"G"
        self.wire = (wire.Websocket if is_http else wire.Plain)(self.rfile, self.wfile)
        self.server.sessions.add(self)
        try:
            while self.packet():
                pass
        except EOFError:
            pass
        finally:
            self.server.sessions.discard(self)
            if self.will:
                self.server.publish(*self.will)

    def send(self, kind, body, flags=0):
        with self.lock:
            self.wire.write(wire.packet(kind, flags, body))

    def packet(self):
        head = self.wire.read(1)[0]
        size = wire.number(lambda: self.wire.read(1)[0])
        fields = wire.Fields(self.wire.read(size))
        kind, flags = head >> 4, head & 15
        if kind == CONNECT:
            return self.connect(fields)
        if kind == PUBLISH:
            self.publish(fields, flags)
        elif kind in (SUBSCRIBE, UNSUBSCRIBE):
            self.subscribe(fields, kind)
        elif kind == PUBREC:
            self.send(PUBREL, fields.take(2), 2)
        elif kind == PUBREL:
            self.send(PUBCOMP, fields.take(2))
        elif kind == PINGREQ:
            self.send(PINGRESP, b"")
        elif kind == DISCONNECT:
            # Version 5 can ask for the last will: reason 4.
            if not (fields and fields.byte() == 4):
                self.will = None
            return False
        return True

    def connect(self, fields):
        assert fields.text() == "MQTT"
        self.version, flags, _keep_alive = fields.byte(), fields.byte(), fields.short()
        fields.properties(self.version)
        fields.text()
        if flags & 4:
            fields.properties(self.version)
            self.will = fields.text(), fields.binary(), flags >> 3 & 3, bool(flags & 32)
        if flags & 128:
            fields.text()
        welcome = not flags & 64 or fields.binary() == PASSWORD
        code = 0 if welcome else BAD_PASSWORD[self.version]
        self.send(CONNACK, bytes([0, code]) + NO_PROPERTIES[self.version])
        if not welcome:
            self.will = None
        return welcome

    def publish(self, fields, flags):
        topic, qos = fields.text(), flags >> 1 & 3
        number = fields.take(2) if qos else b""
        fields.properties(self.version)
        self.server.publish(topic, fields.data, qos, bool(flags & 1))
        if qos:
            self.send(PUBACK if qos == 1 else PUBREC, number)

    def subscribe(self, fields, kind):
        number, codes, new = fields.take(2), bytearray(), []
        fields.properties(self.version)
        while fields:
            name = fields.text()
            if kind == UNSUBSCRIBE:
                self.filters.pop(name, None)
                codes += b"\0" if self.version == 5 else b""
                continue
            qos = fields.byte() & 3
            refused = name.startswith("private/")
            codes.append(0x80 if refused else qos)
            if not refused:
                self.filters[name] = qos
                new.append(name)
        answer = SUBACK if kind == SUBSCRIBE else UNSUBACK
        self.send(answer, number + NO_PROPERTIES[self.version] + bytes(codes))
        for topic, payload in self.server.retained.items():
            if any(topic_matches_sub(name, topic) for name in new):
                self.offer(topic, payload, 0, True)

    def offer(self, topic, payload, qos, retain):
        wanted = [most for name, most in self.filters.items() if topic_matches_sub(name, topic)]
        if not wanted:
            return
        qos = min(qos, max(wanted))
        name = topic.encode()
        body = struct.pack("!H", len(name)) + name
        if qos:
            body += struct.pack("!H", next(self.numbers))
        body += NO_PROPERTIES[self.version] + payload
        self.send(PUBLISH, body, qos << 1 | retain)


@contextmanager
def running(tls=None):
    with Broker(tls) as broker:
        thread = threading.Thread(target=broker.serve_forever, args=[0.01])
        thread.start()
        try:
            yield broker
        finally:
            broker.shutdown()
            thread.join()

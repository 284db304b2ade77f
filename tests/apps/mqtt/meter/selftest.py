"""Clients of every kind against a broker of our own. Who does not answer in time is a failure."""

import os
import queue
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt import publish, subscribe
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from meter import broker

LIMIT = 20
CERTIFICATES = os.path.join(os.path.dirname(__file__), "certificates")


class Client:
    """A client whose callbacks come out of a queue, in order, as (name, value, …)."""

    def __init__(self, name, port, prepare=None, **options):
        self.events = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, **options)
        client.on_connect = lambda c, u, flags, reason, p: self.put("connect", str(reason))
        client.on_disconnect = lambda c, u, flags, reason, p: self.put("disconnect", str(reason))
        client.on_subscribe = lambda c, u, m, reasons, p: self.put("subscribe", *map(str, reasons))
        client.on_unsubscribe = lambda c, u, m, reasons, p: self.put("unsubscribe", len(reasons))
        client.on_message = lambda c, u, m: self.put("message", *described(m))
        self.client = client
        if prepare:
            prepare(client)
        client.connect("127.0.0.1", port, keepalive=30)
        client.loop_start()

    def put(self, *event):
        self.events.put(event)

    def next(self):
        return self.events.get(timeout=LIMIT)

    def end(self):
        self.client.disconnect()
        event = self.next()
        self.client.loop_stop()
        return event


def described(message):
    return message.topic, message.payload.decode(), message.qos, message.retain


def tiny():
    with broker.running() as server:
        client = Client("tiny", server.port)
        events = [client.next()]
        client.client.publish("meter/start", "1", qos=1).wait_for_publish(LIMIT)
        return {"events": [*events, client.end()]}


def full():
    report = {"topics": topics()}
    with broker.running() as server:
        for protocol in (mqtt.MQTTv311, mqtt.MQTTv5):
            report[f"version {protocol}"] = messages(server.port, protocol)
        report["websocket"] = messages(server.port, mqtt.MQTTv311, transport="websockets")
        report["last will"] = last_will(server)
        report["helpers"] = helpers(server.port)
        report["refused"] = refused(server.port)
    report["encrypted"] = encrypted()
    return report


def messages(port, protocol, **options):
    client = Client("meter", port, protocol=protocol, **options)
    it, seen = client.client, [client.next()]
    if protocol == mqtt.MQTTv5:
        it.subscribe([("state/#", SubscribeOptions(qos=2)), ("private/x", SubscribeOptions())])
    else:
        it.subscribe([("state/#", 2), ("private/x", 0)])
    seen.append(client.next())
    it.message_callback_add("state/special/+", lambda c, u, m: client.put("special", *described(m)))
    properties = None
    if protocol == mqtt.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("unit", "kWh")]
        properties.MessageExpiryInterval = 60
    for qos, payload in enumerate(("ü", b"\x31\x32", 2.5)):
        info = it.publish(f"state/{qos}", payload, qos, properties=properties)
        seen.append(client.next())
        info.wait_for_publish(LIMIT)
    it.publish("state/special/one", "x" * 200, 1)
    name, topic, payload, *rest = client.next()
    seen.append((name, topic, len(payload), *rest))
    it.unsubscribe("state/#")
    seen += [client.next(), client.end()]
    return seen


def last_will(server):
    """A retained will is published for who asks for it, and kept for who comes later."""
    watcher = Client("watcher", server.port)
    seen = [watcher.next()]
    watcher.client.subscribe("gone", 1)
    seen.append(watcher.next())
    lost = Client(
        "lost",
        server.port,
        lambda client: client.will_set("gone", "lost", 1, retain=True),
        protocol=mqtt.MQTTv5,
    )
    lost.next()
    lost.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
    lost.client.loop_stop()
    seen += [watcher.next(), watcher.end()]
    late = subscribe.simple("gone", hostname="127.0.0.1", port=server.port)
    return [*seen, described(late)]


def helpers(port):
    publish.single("single", "1", retain=True, hostname="127.0.0.1", port=port)
    several = [{"topic": "several", "payload": "2", "retain": True}, ("other", "3", 1, True)]
    publish.multiple(several, hostname="127.0.0.1", port=port, protocol=mqtt.MQTTv5)
    topics = ["single", "several", "other"]
    found = subscribe.simple(topics, msg_count=3, hostname="127.0.0.1", port=port)
    return sorted(described(message) for message in found)


def refused(port):
    seen = []
    for protocol in (mqtt.MQTTv311, mqtt.MQTTv5):
        wrong = Client("x", port, lambda it: it.username_pw_set("me", "wrong"), protocol=protocol)
        seen.append(wrong.next())
        wrong.client.loop_stop()
    right = Client("x", port, lambda it: it.username_pw_set("me", "secret"))
    seen += [right.next(), right.end()]
    try:
        mqtt.Client(CallbackAPIVersion.VERSION2).connect("127.0.0.1", 1)
    except OSError as error:
        seen.append(type(error).__name__)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    for call in (
        lambda: client.publish("with/+/wildcard"),
        lambda: client.publish("x", object()),
        lambda: client.publish("x", qos=3),
        lambda: client.subscribe("a/#/b"),
        lambda: client.will_set(""),
        lambda: setattr(Properties(PacketTypes.CONNECT), "TopicAlias", 1),
    ):
        try:
            call()
        except (TypeError, ValueError, MQTTException) as error:
            seen.append(f"{type(error).__name__}: {error}")
    seen.append(mqtt.error_string(client.publish("x", "not connected").rc))
    return seen


def encrypted():
    def path(name):
        return os.path.join(CERTIFICATES, name)

    def trusting(client):
        client.tls_set(ca_certs=path("broker.pem"), tls_version=ssl.PROTOCOL_TLS_CLIENT)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path("broker.pem"), path("broker.key"))
    with broker.running(context) as server:
        seen = messages(server.port, mqtt.MQTTv5, prepare=trusting)
        try:
            Client("stranger", server.port, lambda client: client.tls_set())
        except ssl.SSLCertVerificationError as error:
            seen.append(error.verify_message)
    return seen


def topics():
    pairs = [("a/+/c", "a/b/c"), ("a/#", "a"), ("+", "a/b"), ("#", "$SYS/x")]
    return [mqtt.topic_matches_sub(*pair) for pair in pairs]

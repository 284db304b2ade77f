"""Every kind of line that needs no device, and the command line itself."""

import contextlib
import os
import pty
import socket
import socketserver
import threading
import tty

import serial
import serial.rfc2217
import serial.rs485
from click.shell_completion import get_completion_class
from click.testing import CliRunner
from serial.threaded import LineReader, ReaderThread

from fieldlink.command import fieldlink

LIMIT = 20


def tiny():
    with serial.serial_for_url("loop://", timeout=LIMIT) as line:
        line.write(b"hello\n")
        return {"loop": line.readline().decode()}


def full():
    return {
        "loop": loop(),
        "terminal": terminal(),
        "network": network(),
        "threaded": threaded(),
        "refused": refused(),
        "commands": commands(),
        "completion": completion(),
    }


def loop():
    seen = []
    for url in ("loop://", "loop://?logging=error"):
        with serial.serial_for_url(url, timeout=LIMIT) as line:
            line.write(b"one\r\ntwo\r\n")
            seen += [line.in_waiting, line.readline().decode(), line.read_until(b"\r").decode()]
            line.reset_input_buffer()
            line.rts = line.dtr = False
            seen += [line.in_waiting, line.cts, line.dsr, line.ri, line.cd]
            line.baudrate, line.parity, line.stopbits = 19200, serial.PARITY_EVEN, 2
            seen.append(sorted(line.get_settings().items()))
    return seen


def terminal():
    """A pseudo-terminal is a serial port, as far as the driver goes."""
    here, there = pty.openpty()
    tty.setraw(here)
    path = os.ttyname(there)
    seen = []
    for url in (
        path,
        f"alt://{path}?class=PosixPollSerial",
        f"alt://{path}?class=VTIMESerial",
        f"spy://{path}?file=/dev/null&color",
    ):
        with serial.serial_for_url(url, timeout=LIMIT) as port:
            port.write("grüß\n".encode())
            seen.append(os.read(here, 100).decode())
            os.write(here, b"answer\nmore")
            seen += [port.readline().decode(), port.read(4).decode(), type(port).__name__]
            port.reset_output_buffer()
            port.flush()
    with serial.Serial(path, timeout=0, exclusive=True) as port:
        seen.append(port.read().decode())
        try:
            serial.Serial(path, exclusive=True)
        except serial.SerialException as error:
            seen.append(error.errno)
    os.close(there)
    os.close(here)
    return seen


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"echo of " + self.rfile.readline())


class PortServer(socketserver.BaseRequestHandler):
    """A serial port behind telnet, as serial servers offer it."""

    def handle(self):
        with serial.serial_for_url("loop://", timeout=0) as line:
            manager = serial.rfc2217.PortManager(line, self)
            while data := self.request.recv(1024):
                line.write(b"".join(manager.filter(data)))
                self.write(b"".join(manager.escape(line.read(line.in_waiting))))

    def write(self, data):
        self.request.sendall(data)


@contextlib.contextmanager
def serving(handler):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def network():
    seen = []
    with serving(Echo) as address:
        with serial.serial_for_url(f"socket://{address}", timeout=LIMIT) as line:
            line.write(b"this\n")
            seen += [line.readline().decode(), line.is_open]
    with serving(PortServer) as address:
        with serial.serial_for_url(f"rfc2217://{address}?ign_set_control", timeout=LIMIT) as line:
            line.baudrate = 115200
            line.write(b"\xffover telnet\n")
            seen += [line.readline().decode("latin-1"), line.baudrate]
    return seen


def threaded():
    done = threading.Event()
    seen = []

    class Lines(LineReader):
        TERMINATOR = b"\n"

        def handle_line(self, line):
            seen.append(line)
            done.set()

        def connection_lost(self, error):
            seen.append(repr(error))

    with ReaderThread(serial.serial_for_url("loop://"), Lines) as protocol:
        protocol.write_line("from another thread")
        done.wait(LIMIT)
    return seen


def refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    seen = []
    for call in (
        lambda: serial.serial_for_url("smoke://signals"),
        lambda: serial.serial_for_url("hwgrep://no such port"),
        lambda: serial.serial_for_url(f"socket://127.0.0.1:{nobody}"),
        lambda: serial.serial_for_url("cp2110://0"),
        lambda: serial.Serial("/nonexistent/tty"),
        lambda: serial.Serial(baudrate=-1),
        lambda: serial.Serial(parity="?"),
        lambda: serial.Serial().write(b"x"),
        lambda: serial.rs485.RS485Settings().missing,
    ):
        try:
            call()
            seen.append("!! nothing is wrong")
        except (AttributeError, OSError, StopIteration, ValueError) as error:
            text = str(error).replace(str(nobody), "PORT")
            seen.append(f"{type(error).__name__}: {text}")
    return seen


def commands():
    runner = CliRunner()
    seen = []
    with runner.isolated_filesystem():
        with open("firmware.bin", "wb") as file:
            file.write(bytes(range(100)))
        for words, answers in (
            (["--help"], ""),
            (["--version"], ""),
            (["ask", "--help"], ""),
            (["--verbose", "ask", "loop://", "ü"], ""),
            (["ask", "loop://"], ""),
            (["ask", "loop://", "x", "--speed", "1"], ""),
            (["ask", "loop://", "x", "--timeout", "61"], ""),
            (["ask", "smoke://signals", "x"], ""),
            (["ports", "no such port"], ""),
            (["posts"], ""),
            (["load", "missing.bin"], ""),
            (["load", "firmware.bin"], "y\nseven\n7\n"),
            (["load", "firmware.bin"], "n\n"),
            (["load", "firmware.bin", "--yes"], "\n"),
        ):
            result = runner.invoke(fieldlink, words, answers, prog_name="fieldlink")
            seen.append([result.exit_code, result.output])
    return seen


def completion():
    shell = get_completion_class("zsh")(fieldlink, {}, "fieldlink", "_FIELDLINK_COMPLETE")
    found = [item.value for item in shell.get_completions([], "")]
    speeds = [item.value for item in shell.get_completions(["ask", "--speed"], "1")]
    return [found, speeds, "fieldlink" in shell.source()]

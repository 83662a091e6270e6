"""What grows: connections that do nothing, routes and the start with them, clients that are counted."""

import resource
import socket
import statistics
import sys
import time

from . import load
from .machine import say
from .stage import PROXY

# A gateway lets in clients for less than half of the files that it may open: behind each there may
# be another connection.
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
CROWDS = (1000, 10000 if FILES < 0 else min(10000, (FILES // 2 - 200) // 100 * 100))
STARTS = (10, 1000, 10000)
CONNECT_SECONDS_MAX = 60
FILL_SECONDS, FILL_SECONDS_MAX = 3, 180
MIB = 1024 ** 2
# As in the image of deploy/: what is freed goes back to the system at once.
AS_DEPLOYED = {"MIMALLOC_PURGE_DELAY": "0"}


class Crowd:
    """Connections that have had one answer each, and are kept."""

    def __init__(self, server):
        self.server, self.sockets = server, []
        self.question = f"GET /free HTTP/1.1\r\nHost: 127.0.0.1:{server.listen}\r\n\r\n".encode()

    def grow(self, count):
        deadline = time.monotonic() + CONNECT_SECONDS_MAX
        while len(self.sockets) < count:
            if time.monotonic() > deadline:
                sys.exit(f"{len(self.sockets)} of {count} connections in {CONNECT_SECONDS_MAX} s")
            one = socket.create_connection(("127.0.0.1", self.server.listen), 10)
            self.sockets.append(one)
            one.sendall(self.question)
            answer = b""
            # The file is a kilobyte and ends with the only line end of it.
            while not (answer.endswith(b"x\n")):
                piece = one.recv(4096)
                if not piece:
                    sys.exit(f"connection {len(self.sockets)} is closed: {answer[:100]}")
                answer += piece
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(f"connection {len(self.sockets)}: {answer[:100]}")

    def close(self):
        for one in self.sockets:
            one.close()


def connections(stage, direct):
    """Bytes of each proxy with nobody and with each crowd; each proxy is new."""
    makers = {
        "nginx": lambda: stage.nginx("crowd", PROXY, direct),
        "bare pingora": lambda: stage.bare(direct),
        "tollgate": lambda: stage.tollgate("crowd", direct, "sqlite:",
                                           environment=AS_DEPLOYED).wait("/readyz"),
    }
    found = {}
    for name, make in makers.items():
        server = make()
        crowd = Crowd(server)
        try:
            found[name] = {0: settled_memory(server)}
            for count in CROWDS:
                crowd.grow(count)
                found[name][count] = settled_memory(server)
        finally:
            crowd.close()
            stage.end(server)
        say(f"{CROWDS[-1]:,} connections at {name}")
    return found


def settled_memory(server):
    """The median of a second's looks."""
    looks = []
    for _ in range(10):
        time.sleep(0.1)
        looks.append(server.memory())
    return statistics.median(looks)


def starts(stage, direct, rounds):
    """Milliseconds from the start of the process to 200 at `/readyz`, by the number of routes."""
    found = {count: [] for count in STARTS}
    for _ in range(rounds):
        for count, took in found.items():
            changes = [with_routes(count)]
            server = stage.tollgate("start", direct, "sqlite:", changes).wait("/readyz")
            took.append((time.monotonic() - server.begun) * 1e3)
            stage.end(server)
    return found


def with_routes(count):
    """The change of `gateway.toml` by which there are so many routes more."""
    first = '[[routes]]\nmatch = "GET /free"'
    route = '[[routes]]\nmatch = "GET /v1/service-{}/items/{{id}}"\nupstream = "static"\n' \
            'price = "$0.05"\nnetworks = ["base-sepolia"]\n\n'
    return first, "".join(route.format(number) for number in range(count)) + first


def keyed(rate):
    """The changes by which clients are counted, each by what a proxy says of it."""
    return [("threads = 1", 'threads = 1\ntrusted_proxies = ["127.0.0.1/32"]'),
            ('unpaid = "off"', f'unpaid = {{ rate = "{rate}", by = "ip" }}')]


def fill(targets, options):
    """Bytes after so many clients have come, few of them again and again, many once each."""
    few, many = targets["few keys"], targets["many keys"]
    size, count, come = (options.connections, FILL_SECONDS), options.keys, 0
    load.wrk(few.url(), 402, size, few.made.words)
    deadline = time.monotonic() + FILL_SECONDS_MAX
    # Those under way at the end of a load are not told of.
    while come < count - 2 * options.connections:
        told = load.wrk(many.url(), 402, size, ("fill", come, count))
        come += told.requests
        if told.good < told.requests or told.requests == 0 or time.monotonic() > deadline:
            sys.exit(f"{told.good} of {told.requests} clients were told 402, {come} of {count} came")
    say(f"{count:,} clients are counted")
    return {"few keys": few.server.memory(), "many keys": many.server.memory()}

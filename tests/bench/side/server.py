"""A server that is measured: a process on a port of its own, with its children."""

import http.client
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from .machine import ROOT

START_SECONDS_MAX, STOP_SECONDS_MAX = 30, 10


class Server:
    """Listens once it is made."""

    def __init__(self, listen, command, log, environment=None, admin=None):
        self.listen, self.admin, self.is_tls = listen, admin, False
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})}
        )

    def wait(self, path=None):
        """Waits until its port is open or, with a path, until its admin port answers 200 there."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_there(path):
                return self
            time.sleep(0.001 if path else 0.02)
        self.stop()
        sys.exit(f"{self.process.args[0]} does not listen on {self.listen}")

    def is_there(self, path):
        if path:
            try:
                return get(self.admin, path)[0] == 200
            except OSError:
                return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.listen)) == 0

    def url(self, path):
        return f"http{'s' if self.is_tls else ''}://127.0.0.1:{self.listen}{path}"

    def get(self, path, headers=None):
        return get(self.listen, path, headers or {}, self.is_tls)

    def pids(self):
        return [self.process.pid, *children(self.process.pid)]

    def run_nanos(self):
        found = {}
        for pid in self.pids():
            found.update(run_nanos(pid))
        return found

    def memory(self):
        """Resident bytes."""
        return sum(resident(pid) for pid in self.pids())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def get(port, path, headers=None, is_tls=False):
    """Status, headers and text of one answer."""
    if is_tls:
        whoever = ssl.create_default_context()
        whoever.check_hostname, whoever.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=whoever)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def spent(before, after):
    """Nanoseconds on a core between two looks at a process's threads."""
    return sum(nanos - before.get(task, 0) for task, nanos in after.items())


def run_nanos(pid):
    """Nanoseconds on a core of each thread of a process. The ticks of its stat are samples, and a
    server that sleeps and wakes with the clock hides between them."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # The thread has ended.
    return found


def resident(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            those = (task / "children").read_text()
        except FileNotFoundError:
            # A thread that has ended since.
            continue
        for child in map(int, those.split()):
            found += [child, *children(child)]
    return found

"""Load: what is asked of a server, and what is told of the answers."""

import re
import statistics
import subprocess
import sys
from typing import NamedTuple

from .machine import BENCH

# Beyond the seconds that are measured; a tool that hangs ends the run.
SPARE_SECONDS = 30


class Told(NamedTuple):
    """What a tool told of its requests: so many, of which so many were answered as they should be,
    in so many microseconds; milliseconds that one took, and the bytes of all."""
    requests: int
    good: int
    micros: int
    p50: float
    p99: float
    bytes: int


def wrk(url, status, size, words=(), timeout="5s"):
    """HTTP/1 without a pause. `size` are connections and seconds, `words` what `load.lua` takes."""
    running = start_wrk(url, size, words, timeout)
    return told_by_wrk(running, status, size)


def start_wrk(url, size, words=(), timeout="5s"):
    connections, seconds = size
    command = ["wrk", "--latency", "--timeout", timeout, "-t1", f"-c{connections}",
               f"-d{seconds}s", "-s", str(BENCH / "load.lua"), url, "--", *map(str, words)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE)


def told_by_wrk(running, status, size):
    try:
        printed, _ = running.communicate(timeout=size[1] + SPARE_SECONDS)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    told = re.search(r"^COUNTS (\d+) (\d+) (\d+) (\S+) (\S+) (\d+) (\d+)$", printed, re.M)
    if running.returncode or not told:
        sys.exit(f"wrk: {running.returncode}\n{printed}")
    requests, wrong, micros, size, odd = (int(told.group(at)) for at in (1, 2, 3, 6, 7))
    good = (requests - wrong if status < 400 else wrong) - odd
    if "Socket errors" in printed:
        good = min(good, requests - 1)
    return Told(requests, good, micros, float(told.group(4)), float(told.group(5)), size)


def h2load(url, status, size, words, log):
    """What `words` say, and each answer's time by the file `log`. `size` as above."""
    connections, seconds = size
    command = ["h2load", "-t1", f"-c{connections}", f"-D{seconds}", f"--log-file={log}", *words, url]
    log.unlink(missing_ok=True)
    printed = subprocess.run(command, check=True, text=True, capture_output=True,
                             timeout=seconds + SPARE_SECONDS).stdout
    protocol = "http/1.1" if "--h1" in words else "h2"
    if f"Application protocol: {protocol}\n" not in printed:
        sys.exit(f"h2load speaks no {protocol}\n{printed}")
    total = re.search(r"^requests: (\d+) total", printed, re.M)
    failed = re.search(r"(\d+) errored, (\d+) timeout", printed)
    if not total or not failed or failed.groups() != ("0", "0"):
        sys.exit(f"h2load\n{printed}")
    lines = [line.split() for line in log.read_text().splitlines()]
    good = sum(line[1] == str(status) for line in lines)
    took = sorted(int(line[2]) for line in lines)
    if not took:
        sys.exit(f"h2load: nothing was answered in {seconds} s\n{printed}")
    sent = re.search(r"^traffic: .*?\((\d+)\) total", printed, re.M)
    return Told(len(lines), good, seconds * 1_000_000, statistics.median(took) / 1e3,
                took[len(took) * 99 // 100] / 1e3, int(sent.group(1)))

"""The machine: what is installed, what is built, and how far its limits go."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent.parent
E2E = BENCH.parent / "e2e"
NODE = E2E / "node_modules/.bin/node"
PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client", "openssl": "openssl"}
BEGUN = time.monotonic()
# No tool of these takes longer; one that hangs ends the run.
TOOL_SECONDS_MAX = 120


def prepare(options):
    """Installs what is missing, builds unless there is a folder of binaries, and gives that folder."""
    # What is started here ends with this, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    sys.stdout.reconfigure(line_buffering=True)
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        sudo = [] if os.getuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "apt-get", "install", "-y", *missing], check=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.binaries:
        return Path(options.binaries).resolve()
    begun = time.monotonic()
    # As in the gateway's image.
    build = ["cargo", "build", "--locked", "--profile", "dist", "--no-default-features", "--bins",
             "--examples"]
    subprocess.run(build, cwd=ROOT, check=True)
    say(f"built in {time.monotonic() - begun:.0f} s")
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "dist"


def say(text):
    """Progress, beside what is printed at the end."""
    print(f"[{time.monotonic() - BEGUN:4.0f} s] {text}", file=sys.stderr, flush=True)


def tool(binaries, name, *words):
    """What an example prints."""
    command = [str(binaries / "examples" / name), *map(str, words)]
    ran = subprocess.run(command, check=True, text=True, capture_output=True, timeout=TOOL_SECONDS_MAX)
    return ran.stdout


def has_published_clients():
    """Whether there is what `tests/run e2e` installs."""
    return NODE.exists()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

"""Somebody at /dev/log who throws all away, where there is no syslog: spampd wants one."""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

DEVICE = Path("/dev/log")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as device:
        device.bind(str(DEVICE))
        DEVICE.chmod(0o666)
        try:
            while True:
                device.recv(8192)
        finally:
            DEVICE.unlink()


if __name__ == "__main__":
    main()

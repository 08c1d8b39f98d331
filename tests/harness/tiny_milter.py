"""A milter that writes one header field on top of each mail, as OpenDKIM does.

The protocol is Sendmail's, version 6, as Postfix speaks it (MILTER_README).
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_OPTIONS, _MACROS, _END, _QUIT, _ABORT = b"O", b"D", b"E", b"Q", b"A"
_INSERT, _CONTINUE = b"i", b"c"
_ADD_FIELDS = 0x01
# No connect, HELO, MAIL, RCPT, body, header, end of header, unknown command, DATA.
_LEAVE_OUT = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200


@contextmanager
def running_milter(field: tuple[bytes, bytes], index: int) -> Iterator[int]:
    """Its port. ``field``: name and value (LF in folded ones); ``index``: where it goes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while len(size := self.rfile.read(4)) == 4:
                packet = self.rfile.read(struct.unpack("!I", size)[0])
                if packet[:1] == _QUIT:
                    return
                if packet[:1] == _OPTIONS:
                    self.answer(_OPTIONS + struct.pack("!III", 6, _ADD_FIELDS, _LEAVE_OUT))
                elif packet[:1] == _END:
                    name, value = field
                    self.answer(_INSERT + struct.pack("!I", index) + name + b"\0" + value + b"\0")
                    self.answer(_CONTINUE)
                elif packet[:1] not in (_MACROS, _ABORT):
                    self.answer(_CONTINUE)

        def answer(self, packet: bytes) -> None:
            self.wfile.write(struct.pack("!I", len(packet)) + packet)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

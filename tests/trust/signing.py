"""Mails with DKIM signatures of every kind, right ones and wrong ones, and the keys for them.

dkimpy refuses to make most of the wrong ones, so the tags are given to its inner function, which
hashes and signs whatever they are.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import time
from dataclasses import dataclass

import dkim
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import parse_pem_private_key
from nacl.signing import SigningKey

MAIL = b"""\
From: Anna <anna@author.example>
To: bert@example.net
Subject: Your order
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <1@author.example>

The invoice is for  1,200 euros.\x20
With best regards

""".replace(b"\n", b"\r\n")
_NAMES = "from:to:subject:date:message-id"
_NOW = re.compile(r"now([+-]\d+)")


@dataclass(frozen=True)
class KeyPair:
    """A key for signatures."""

    private: bytes | SigningKey | Fixed  # bytes: RSA, in PEM
    public: str  # base64, as in p=


@dataclass(frozen=True)
class Fixed:
    """In place of an Ed25519 key: signs everything alike."""

    signature: bytes

    def sign(self, digest: bytes) -> Fixed:
        """As PyNaCl's key does it."""
        return self


def key_pair(bits: int) -> KeyPair:
    """A new one."""
    made = ["openssl", "genrsa", "-traditional", str(bits)]
    private = subprocess.run(made, capture_output=True, check=True).stdout
    turned = ["openssl", "rsa", "-pubout", "-outform", "DER"]
    public = subprocess.run(turned, input=private, capture_output=True, check=True).stdout
    return KeyPair(private, base64.b64encode(public).decode())


def ed25519_pair() -> KeyPair:
    """A new one of RFC 8463."""
    private = SigningKey.generate()
    return KeyPair(private, base64.b64encode(bytes(private.verify_key)).decode())


def public_key(modulus: int, exponent: int) -> str:
    """An RSA public key (PKCS #1) of any numbers, as in p=; nobody has the private one."""
    numbers = b"".join(_der(2, _octets(number)) for number in (modulus, exponent))
    return base64.b64encode(_der(0x30, numbers)).decode()


def _octets(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _der(kind: int, content: bytes) -> bytes:
    length = _octets(len(content))
    return bytes([kind, 0x80 | len(length)]) + length + content


@dataclass(frozen=True)
class Sign:
    """A signature to be made: tags that differ from the usual (None: left out), and the key."""

    tags: dict[str, str | None]
    key: str

    def field(self, mail: bytes, keys: dict[str, KeyPair]) -> bytes:
        """The whole field for ``mail``."""
        tags = self._with_usual(mail)
        signer = dkim.DKIM(mail)
        sha1 = tags["a"] == b"rsa-sha1"
        key, algorithm = keys[self.key].private, b"ed25519-sha256"
        if isinstance(key, bytes):
            key, algorithm = parse_pem_private_key(key), b"rsa-sha1" if sha1 else b"rsa-sha256"
        signer.signature_algorithm = algorithm  # by the key, whatever a= says
        signer.hasher = hashlib.sha1 if sha1 else hashlib.sha256
        names = [name.strip().lower() for name in tags["h"].split(b":")]
        fields = [(tag.encode(), value) for tag, value in tags.items()]
        value: bytes = signer.gen_header(
            [*fields, (b"b", b"0" * 60)],
            names,
            _forms(tags),
            b"DKIM-Signature",
            key,
        )
        return b"DKIM-Signature: " + value

    def _with_usual(self, mail: bytes) -> dict[str, bytes]:
        usual = {"v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": "author.example"}
        usual |= {"s": "good", "t": "now-10", "h": _NAMES}
        merged = {tag: value for tag, value in (usual | self.tags).items() if value is not None}
        now = int(time.time())
        tags = {
            tag: _NOW.sub(lambda match: str(now + int(match[1])), value).encode()
            for tag, value in merged.items()
        }
        if "bh" not in tags:
            tags["bh"] = _body_hash(mail, tags)
        return tags


def sign(key: str = "good", **tags: str | None) -> Sign:
    """A signature as good as ``tags`` let it be; ``now+60`` is the time in a minute."""
    return Sign(tags, key)


def signed(mail: bytes, signs: tuple[Sign, ...], keys: dict[str, KeyPair]) -> bytes:
    """``mail`` with its signatures on top, the first uppermost."""
    return b"".join(each.field(mail, keys) for each in signs) + mail


def _forms(tags: dict[str, bytes]) -> CanonicalizationPolicy:
    try:
        return CanonicalizationPolicy.from_c_value(tags.get("c"))
    except dkim.InvalidCanonicalizationPolicyError:
        return CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")


def _body_hash(mail: bytes, tags: dict[str, bytes]) -> bytes:
    body = _forms(tags).canonicalize_body(mail.partition(b"\r\n\r\n")[2])
    body = body[: int(tags["l"])] if tags.get("l", b"").isdigit() else body
    hasher = hashlib.sha1 if tags["a"] == b"rsa-sha1" else hashlib.sha256
    return base64.b64encode(hasher(body).digest())

"""Release links: only what this machine made, unchanged and in time, is one."""

from __future__ import annotations

import hmac
import os
import string
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter import keys
from milter.digest import links
from milter.digest.links import Link, Links
from milter.errors import StartError

ITEM = "0123456789abcdef"
ANNA = "anna@example.org"
NOW = 1_800_000_000.0
LINKS = Links(bytes(range(keys.SIZE)))
TOKEN = LINKS.make(ITEM, ANNA, NOW + 60)
ALPHABET = string.ascii_letters + string.digits + "-_"


def test_a_link_says_what_it_was_made_for() -> None:
    assert LINKS.read(TOKEN, NOW) == Link(ITEM, ANNA, int(NOW) + 60)
    assert set(TOKEN) <= set(ALPHABET)


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.binary(min_size=8, max_size=8),
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=120),
    st.integers(1, 2**40),
)
def test_any_item_and_recipient(item: bytes, recipient: str, expires: int) -> None:
    token = LINKS.make(item.hex(), recipient, expires)
    assert LINKS.read(token, expires - 1) == Link(item.hex(), recipient, expires)


def test_a_link_for_longer_than_anything() -> None:
    """``link_days`` has no upper limit: 99999999999 is somebody's way to say "for ever"."""
    token = LINKS.make(ITEM, ANNA, NOW + 99999999999 * 86400)
    assert LINKS.read(token, NOW + 1e12) is not None


def test_it_expires() -> None:
    assert LINKS.read(TOKEN, NOW + 59)
    assert LINKS.read(TOKEN, NOW + 60) is None
    assert LINKS.read(TOKEN, NOW + 1e9) is None


def test_every_changed_character_is_noticed() -> None:
    """Base64 has spare bits at the end, which some decoders ignore."""
    for place in range(len(TOKEN)):
        for character in ALPHABET:
            changed = TOKEN[:place] + character + TOKEN[place + 1 :]
            assert (LINKS.read(changed, NOW) is None) == (changed != TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        TOKEN + "=",
        TOKEN + "==",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN + "A",
        TOKEN[:-1],
        TOKEN[:-4],
        TOKEN[4:],
        TOKEN + TOKEN,
        TOKEN[:20] + "\u202e" + TOKEN[20:],
        TOKEN[:20] + "!" + TOKEN[20:],
        TOKEN[:20] + "+/" + TOKEN[22:],
        TOKEN.replace(TOKEN[0], "\ud800", 1),
        "../../etc/passwd",
        "A" * 61,
        "A" * 64,
        "A" * 1_000_000,
        "\0",
    ],
)
def test_what_is_no_link(text: str) -> None:
    assert LINKS.read(text, NOW) is None


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=200))
def test_no_text_is_a_link(text: str) -> None:
    assert LINKS.read(text, NOW) is None


def test_another_key_another_link() -> None:
    other = Links(bytes(keys.SIZE))
    assert other.read(TOKEN, NOW) is None
    assert LINKS.read(other.make(ITEM, ANNA, NOW + 60), NOW) is None


def test_a_signature_for_another_purpose_is_none() -> None:
    """Whatever else the same key might sign one day."""
    told = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))[:-32]
    for purpose in (b"", b"\0", b"session\0"):
        mac = hmac.digest(bytes(range(keys.SIZE)), purpose + told, "sha256")
        forged = urlsafe_b64encode(told + mac).decode().rstrip("=")
        assert len(forged) == len(TOKEN)
        assert LINKS.read(forged, NOW) is None


def test_a_link_is_for_one_item_and_one_recipient() -> None:
    """The parts of two links of one's own make no third."""
    other = LINKS.make("fedcba9876543210", "berta@example.org", NOW + 60)
    one, two = (urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in (TOKEN, other))
    for cut in (8, 14, -32):
        mixed = urlsafe_b64encode(one[:cut] + two[cut:]).decode().rstrip("=")
        assert LINKS.read(mixed, NOW) is None


@pytest.mark.parametrize(
    ("item", "recipient"),
    [
        ("", ANNA),
        ("0123456789ABCDEF", ANNA),
        ("0123456789abcde", ANNA),
        ("../../../../etc/", ANNA),
        (ITEM, ""),
        (ITEM, "a" * 1000),
    ],
)
def test_what_no_link_is_made_for(item: str, recipient: str) -> None:
    with pytest.raises(ValueError, match="no link can be made"):
        LINKS.make(item, recipient, NOW)


def test_the_longest_link_can_be_read() -> None:
    token = LINKS.make(ITEM, "a" * 512, NOW + 60)
    assert LINKS.read(token, NOW)
    assert links.fits("a" * 512)
    assert not links.fits("a" * 513)


def test_the_key_is_kept_and_for_its_user_only(tmp_path: Path) -> None:
    state = tmp_path / "review"
    token = Links.kept_in(state).make(ITEM, ANNA, NOW + 60)
    assert Links.kept_in(state).read(token, NOW)
    assert (state / links.KEY).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in state.iterdir()] == [links.KEY]


def test_all_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    made: list[str] = []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        made.append(Links.kept_in(tmp_path / "review").make(ITEM, ANNA, NOW + 60))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


@pytest.mark.parametrize("octets", [b"", b"short", os.urandom(keys.SIZE + 1)])
def test_a_damaged_key_is_refused(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / links.KEY).write_bytes(octets)
    with pytest.raises(StartError, match=f"{links.KEY}: not a key of {keys.SIZE} octets"):
        Links.kept_in(tmp_path)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    with pytest.raises(StartError, match=r"\[review\] state"):
        Links.kept_in(tmp_path / "state")

"""``coop-verdict review`` and ``review-user``, as processes."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.ports import free_port, listens, wait_until

from milter.errors import StartError
from milter.review.passwords import holds
from milter.review.users import Users, plain_name, plain_recipient

PASSWORD = "a phrase of some words"  # noqa: S105 - of users that live as long as the test


def run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "milter", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True)


def add(folder: Path, *arguments: str, password: str = PASSWORD) -> str:
    """Add a user; what is wrong, or nothing."""
    done = run(folder, "review-user", "add", *arguments, "--password-stdin", stdin=f"{password}\n")
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr


def test_users_are_added_listed_changed_and_removed(tmp_path: Path) -> None:
    assert not add(tmp_path, "Anna", "--recipient", "Anna@Example.ORG", "info@example.org")
    assert not add(tmp_path, "boss", "--admin")
    listed = run(tmp_path, "review-user", "list").stdout
    assert listed == "anna: anna@example.org, info@example.org\nboss: all mail\n"
    file = tmp_path / "var/review/users.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in file.read_text()
    users = Users(file.parent)
    assert holds(users.get("anna"), PASSWORD)
    other = PASSWORD[::-1]
    assert not add(tmp_path, "anna", "--recipient", "anna@example.org", password=other)
    assert not holds(users.get("anna"), PASSWORD)
    assert holds(users.get("anna"), other)
    assert run(tmp_path, "review-user", "remove", "anna").stdout == "anna: removed\n"
    gone = run(tmp_path, "review-user", "remove", "anna")
    assert gone.returncode == 2
    assert "there is no user anna" in gone.stderr


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (["anna"], PASSWORD, "name them with --recipient"),
        (["anna", "--recipient", "nobody"], PASSWORD, "'nobody' is no mail address"),
        (["anna", "--recipient", "a@b\r\nX: y"], PASSWORD, "is no mail address"),
        (["../etc", "--admin"], PASSWORD, "cannot be a user's name"),
        (["", "--admin"], PASSWORD, "cannot be a user's name"),
        (["anna", "--admin"], "short", "8 to 1024 characters"),
        (["anna", "--admin"], "", "8 to 1024 characters"),
        (["anna", "--admin"], "x" * 2000, "8 to 1024 characters"),
    ],
)
def test_what_is_no_user(tmp_path: Path, arguments: list[str], password: str, words: str) -> None:
    assert words in add(tmp_path, *arguments, password=password)
    assert not (tmp_path / "var/review/users.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"users": 1}',
        '{"users": [{"name": "a"}]}',
        '{"users": [{"name": "a", "hash": 1, "admin": false, "recipients": []}]}',
        '{"users": [{"name": "a", "hash": "x", "admin": "no", "recipients": []}]}',
        '{"users": [{"name": "a", "hash": "x", "admin": false, "recipients": [1]}]}',
        '{"users": [{"name": "a", "hash": "x", "admin": false, "recipients": 1}]}',
        '{"users": [{"name": "a", "hash": "x", "admin": false, "recipients": [], "more": 1}]}',
    ],
)
def test_a_file_of_users_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "users.json").write_text(text)
    with pytest.raises(StartError, match="not a file of users"):
        Users(tmp_path).all()
    with pytest.raises(StartError, match="not a file of users"):
        Users(tmp_path).remove("a")
    assert (tmp_path / "users.json").read_text() == text, "what cannot be read is not overwritten"


def test_users_that_are_changed_at_once_are_all_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "milter", "review-user", "add", "--admin", "--password-stdin"]
    adding = [
        subprocess.Popen(
            [*command, f"user{number}"], cwd=tmp_path, stdin=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    for process in adding:
        process.communicate(f"{PASSWORD}\n")
    assert set(Users(tmp_path / "var/review").all()) == {f"user{number}" for number in range(4)}


def test_names_and_recipients_are_compared_as_everywhere() -> None:
    assert plain_name("  ＡNNA ") == "anna"
    assert plain_recipient("<Anna@Example.org>") == "anna@example.org"
    assert plain_recipient("Jürgen@example.org") == "jürgen@example.org"


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[int, str]]:
    """The page as a process; its port, and what it said at its start."""
    port = free_port()
    command = [sys.executable, "-m", "milter", "review", "--listen", f"127.0.0.1:{port}"]
    said = folder / f"said-{port}"
    with said.open("w") as out:
        process = subprocess.Popen([*command, *arguments], cwd=folder, stdout=out, stderr=out)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, said.read_text())
        assert process.poll() is None, said.read_text()
        wait_until(lambda: "review page" in said.read_text(), said.read_text())
        yield port, said.read_text()
    finally:
        process.terminate()
        status = process.wait(timeout=60)
    assert status in (0, -15)
    assert "Traceback" not in said.read_text()


def test_the_first_start_makes_an_admin_and_tells_the_password_once(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, said):
        match = re.search(r"Log in as admin with the password (\S+) \(told this once\)", said)
        assert match
        assert f"http://127.0.0.1:{port}" in said
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/login")
        page = connection.getresponse()
        assert page.status == 200
        assert "Log in" in page.read().decode()
        connection.close()
    user = Users(tmp_path / "var/review").get("admin")
    assert user
    assert user.admin
    assert holds(user, match[1])
    with serving(tmp_path) as (_, said):
        assert "password" not in said


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "review", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "review").write_text("a file")
    done = run(tmp_path, "review", "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "[review] state" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "page"
    command = [sys.executable, "-m", "milter", "review", "--listen", f"unix:{path}"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: path.is_socket() or process.poll() is not None, "a socket")
        wait_until(lambda: path.stat().st_mode & 0o777 == 0o660, "its mode")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(path))
            client.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_requests_that_are_no_http(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, _):
        for octets in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: coop=" + b"x" * 100_000 + b"\r\n\r\n",
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(octets)
                assert client.recv(65536).startswith((b"HTTP/1.1 3", b"HTTP/1.1 4"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/login")
        assert connection.getresponse().status == 200
        connection.close()


def test_the_filter_needs_none_of_the_page(tmp_path: Path) -> None:
    code = (
        "import sys, json, milter.server, milter.cli, milter.workers;"
        "milter.cli._parser();"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = run_code(tmp_path, code)
    assert not {"starlette", "uvicorn", "jinja2", "argon2", "anyio", "h11"} & set(done)


def run_code(folder: Path, code: str) -> list[str]:
    """What a program printed, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found

"""The audit log: an unbroken chain over files and restarts, and every way to break it is found."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniaudio.errors import StartupError
from uniaudio.runtime.guard.audit_chain import ChainError, Link, chained, verify_lines
from uniaudio.runtime.guard.audit_log import AuditLog
from uniaudio.runtime.guard.audit_verify import BrokenLogError, parse_anchor, verify_files


def chain(num_records: int) -> list[bytes]:
    link, lines = Link(), []
    for number in range(num_records):
        line, link = chained(link, {"kind": "call", "caller": f"ann-{number}", "outcome": "OK"})
        lines.append(line)
    return lines


def swap(lines: list[bytes], first: int, second: int) -> list[bytes]:
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def alter(line: bytes) -> bytes:
    return line.replace(b'"outcome":"OK"', b'"outcome":"NO"')


def rehash(line: bytes) -> bytes:
    """A record changed by someone who knows how hashes are made."""
    record = json.loads(alter(line))
    return chained(Link(number=record["number"] - 1, hash=record["previous"]), {
        "kind": "call", "caller": record["caller"], "outcome": "NO",
    })[0]  # fmt: skip


BREAKS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "altered": (lambda lines: [*lines[:4], alter(lines[4]), *lines[5:]], 5),
    "altered and hashed anew": (lambda lines: [*lines[:4], rehash(lines[4]), *lines[5:]], 6),
    "deleted": (lambda lines: [*lines[:4], *lines[5:]], 5),
    "swapped": (lambda lines: swap(lines, 4, 5), 5),
    "moved to the end": (lambda lines: [*lines[:4], *lines[5:], lines[4]], 5),
    "doubled": (lambda lines: [*lines[:5], lines[4], *lines[5:]], 6),
    "put in": (lambda lines: [*lines[:4], chain(1)[0], *lines[4:]], 5),
    "not a record": (lambda lines: [*lines[:4], b"[1]\n", *lines[4:]], 5),
    "empty line": (lambda lines: [*lines[:4], b"\n", *lines[4:]], 5),
    "other spacing": (lambda lines: [*lines[:4], lines[4].replace(b":", b": ", 1), *lines[5:]], 5),
    "half a line at the end": (lambda lines: [*lines[:-1], lines[-1][:-9]], 10),
    "number replaced": (lambda lines: [*lines[:4], lines[4].replace(b'"number":5', b'"number":true'), *lines[5:]], 5),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_the_first_broken_record_is_named(name: str, tmp_path: Path) -> None:
    change, line = BREAKS[name]
    path = tmp_path / "audit.log"
    path.write_bytes(b"".join(change(chain(10))))
    with pytest.raises(BrokenLogError) as caught:
        verify_files([path])
    assert caught.value.metadata["line"] == str(line)


def test_a_file_that_begins_later_says_so(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"".join(chain(10)[3:]))
    verified = verify_files([path])
    assert (verified.begins_after.number, verified.num_records) == (3, 7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.data())
def test_no_byte_can_change(position: int, data: st.DataObject) -> None:
    lines = chain(10)
    at = data.draw(st.integers(0, len(lines[position]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != lines[position][at]))
    content = b"".join(
        [
            *lines[:position],
            lines[position][:at] + bytes([byte]) + lines[position][at + 1 :],
            *lines[position + 1 :],
        ]
    )
    with pytest.raises(ChainError):
        verify_lines(content.splitlines(keepends=True), Link())


def test_a_cut_end_or_a_new_chain_is_found_by_an_anchor(tmp_path: Path) -> None:
    path, lines = tmp_path / "audit.log", chain(10)
    anchor = parse_anchor(f"9:{json.loads(lines[8])['hash']}")
    anchors = dict([anchor])
    path.write_bytes(b"".join(lines))
    assert verify_files([path], anchors).ends_with.number == 10
    path.write_bytes(b"".join(lines[:7]))
    assert verify_files([path]).ends_with.number == 7  # without an anchor nobody can know
    with pytest.raises(BrokenLogError, match="record 9, which an anchor names, is missing"):
        verify_files([path], anchors)
    link, forged = Link(), []
    for line in lines:
        fields = {key: value for key, value in json.loads(line).items() if key in ("kind", "caller")}
        new, link = chained(link, {**fields, "outcome": "NO"})
        forged.append(new)
    path.write_bytes(b"".join(forged))
    verify_files([path])
    with pytest.raises(BrokenLogError, match="line 9: record 9 is not the one that the anchor names"):
        verify_files([path], anchors)


def files_of(path: Path) -> list[Path]:
    return [*sorted(path.parent.glob(f"{path.name}.*")), path]


def test_full_files_are_named_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, max_bytes=2_000)
    for number in range(100):
        log.append({"kind": "call", "caller": f"ann-{number}"})
    log.close()
    files = files_of(path)
    assert len(files) > 5
    verified = verify_files(files)
    assert (verified.begins_after, verified.ends_with) == (Link(), log.link)
    with pytest.raises(BrokenLogError, match=r"line 1: record \d+ was due"):
        verify_files([*files[:2], *files[3:]])
    files[2].write_bytes(b"".join(files[2].read_bytes().splitlines(keepends=True)[:-2]))
    with pytest.raises(BrokenLogError, match=files[3].name):
        verify_files(files)


def test_a_restart_goes_on_even_after_half_a_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    first = AuditLog(path)
    first.append({"kind": "call"})
    first.close()
    with path.open("ab") as file:
        file.write(b'{"kind":"ca')
    second = AuditLog(path)
    second.append({"kind": "call"})
    second.close()
    kinds = [json.loads(line)["kind"] for line in path.read_bytes().splitlines()]
    assert kinds == ["start", "call", "start", "call"]
    assert verify_files([path]).num_records == 4


def test_a_restart_between_two_files_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, max_bytes=500)
    while not (full := sorted(tmp_path.glob("audit.log.*"))):
        log.append({"kind": "call"})
    log.close()
    path.unlink()
    AuditLog(path).close()
    verify_files([*full, path])


def test_one_process_writes_and_a_damaged_end_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path)
    with pytest.raises(StartupError, match="another process"):
        AuditLog(path)
    log.close()
    path.write_bytes(path.read_bytes().replace(b'"start"', b'"strat"'))
    with pytest.raises(StartupError, match="damaged"):
        AuditLog(path)


def test_threads_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, max_bytes=20_000)

    def write() -> None:
        for _ in range(200):
            log.append({"kind": "call"})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    log.close()
    calls = [line for file in files_of(path) for line in file.read_bytes().splitlines() if b'"call"' in line]
    assert len(calls) == 800
    verify_files(files_of(path))

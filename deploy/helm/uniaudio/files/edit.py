"""Edits a recording through the gateway, transcribes the result, and checks both answers."""

import base64
import io
import json
import os
import struct
import sys
import urllib.request
import uuid
import wave

RATE = 16_000
BOUNDARY = uuid.uuid4().hex
SECONDS, FACTOR = 1.83, 1.25  # of the recording, and how much longer its edit makes it


def main() -> None:
    """Raises where the gateway does not answer, or not with what was asked for."""
    slower = post(
        "edits", "sentence.flac", recording(), instruction="make it 1.25 times slower", engine="exact"
    )
    samples = sound(slower)
    seconds, peak = len(samples) / RATE, max(map(abs, samples), default=0)
    if not (abs(seconds - SECONDS * FACTOR) < 0.1 and peak > 1_000):
        raise SystemExit(f"2.29 s of speech were to come, {seconds:.2f} s with a peak of {peak} came")
    sys.stdout.write(f"edited: {SECONDS:.2f} s became {seconds:.2f} s\n")
    heard = json.loads(post("transcriptions", "slower.wav", wav(samples)))["text"]
    sys.stdout.write(f"heard: {heard!r}\n")
    wanted = os.environ.get("WORDS", "").split()
    if len([word for word in wanted if word in heard.split()]) < 0.7 * len(wanted):
        raise SystemExit(f"{' '.join(wanted)!r} was said")


def recording() -> bytes:
    """A sentence that nano reads."""
    return base64.b64decode(os.environ["RECORDING"])


def post(path: str, name: str, content: bytes, **fields: str) -> bytes:
    """What the gateway answers to a form, sent with the caller's token where there is one."""
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    )
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    body = f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if token := os.environ.get("TOKEN", "").strip():
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{os.environ['GATEWAY']}/v1/audio/{path}", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=float(os.environ["SECONDS_AT_MOST"])) as answer:
        return bytes(answer.read(1 << 20))


def sound(content: bytes) -> tuple[int, ...]:
    """The samples behind a WAV header of 44 bytes, whose length a streamed answer leaves open."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise SystemExit(f"a WAV was to come, {content[:12]!r} came")
    samples = content[44 : len(content) // 2 * 2]
    return struct.unpack(f"<{len(samples) // 2}h", samples)


def wav(samples: tuple[int, ...]) -> bytes:
    """The samples as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, RATE, 0, "NONE", ""))
        written.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


if __name__ == "__main__":
    main()

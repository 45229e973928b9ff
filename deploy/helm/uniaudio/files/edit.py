"""Edits a recording through the gateway and checks the answer: a second of a tone, made twice as fast."""

import io
import math
import os
import struct
import sys
import urllib.request
import uuid
import wave

RATE = 16_000
BOUNDARY = uuid.uuid4().hex


def main() -> None:
    """Raises where the gateway does not answer, or not with half a second of sound."""
    with urllib.request.urlopen(request(recording()), timeout=float(os.environ["SECONDS_AT_MOST"])) as answer:
        content = answer.read(1 << 20)
    samples = sound(content)
    seconds, peak = len(samples) / RATE, max(map(abs, samples), default=0)
    if not (0.4 < seconds < 0.6 and peak > 1_000):
        raise SystemExit(f"half a second of a tone was to come, {seconds:.2f} s with a peak of {peak} came")
    sys.stdout.write(f"edited: 1.00 s became {seconds:.2f} s\n")


def recording() -> bytes:
    """A WAV of one second at 440 Hz."""
    tone = [round(8_000 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(RATE)]
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, RATE, 0, "NONE", ""))
        written.writeframes(struct.pack(f"<{RATE}h", *tone))
    return file.getvalue()


def request(content: bytes) -> urllib.request.Request:
    """The form that the gateway takes, with the caller's token where there is one."""
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("instruction", "make it twice as fast"), ("engine", "exact"))
    )
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="tone.wav"\r\n'
    body = f"{head}Content-Type: audio/wav\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if token := os.environ.get("TOKEN", "").strip():
        headers["Authorization"] = f"Bearer {token}"
    return urllib.request.Request(os.environ["GATEWAY"] + "/v1/audio/edits", data=body, headers=headers)


def sound(content: bytes) -> tuple[int, ...]:
    """The samples behind a WAV header of 44 bytes, whose length a streamed answer leaves open."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise SystemExit(f"a WAV was to come, {content[:12]!r} came")
    samples = content[44 : len(content) // 2 * 2]
    return struct.unpack(f"<{len(samples) // 2}h", samples)


if __name__ == "__main__":
    main()

"""Messages of any type with odd values in their fields."""

from __future__ import annotations

import random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.mutations import mutated, recordings

_INTEGERS = (0, 1, -1, 2, 3, 5, 16_000, 48_000, 2**31 - 1, -(2**31), 2**63 - 1)
_FLOATS = (0.0, -1.0, 0.5, 1.0, 3.0, 1e30, -1e30, float("nan"), float("inf"), float("-inf"), 5e-324)
_TEXTS = (
    "", " ", "hi", "make it 1.5 times faster", "delete 'the'", "insert 'a' after the word", "把音量调大",
    "\0", "\u202e", "a" * 3_000, "é" * 129, "../../etc/passwd", "'; DROP TABLE jobs; --", "{}", "state=RUNNING",
    "2026-11-26T00:00:00Z", "0" * 64, "💥" * 50, "%s%n", "job_1", "reading", "English",
)  # fmt: skip
_INTEGER_TYPES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_ENUM: (-(2**31), 2**31 - 1),
}


def random_message(rng: random.Random, descriptor: Descriptor, depth: int = 0) -> Message:
    """A message of that type, each field set or not, with values that few people would send."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if rng.random() < 0.3 or depth > 4:
            continue
        if field.is_repeated:
            _fill(rng, message, field, depth)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(random_message(rng, field.message_type, depth + 1))
        else:
            setattr(message, field.name, _value(rng, field))
    return message


def serialized(rng: random.Random, descriptor: Descriptor, fine: Message | None = None) -> bytes:
    """The bytes of a message, now and then with changes that may make it none.

    Most are the `fine` one with an odd value or two, which get farther than what is odd throughout.
    """
    message = random_message(rng, descriptor)
    if fine is not None and rng.random() < 0.7:
        message = _nearly(rng, fine, message)
    content = message.SerializeToString()
    return mutated(rng, content) if rng.random() < 0.15 else content


def _nearly(rng: random.Random, fine: Message, odd: Message) -> Message:
    """A fine message, some of whose fields (at most two) are taken from an odd one."""
    fields = [field for field, _ in odd.ListFields()]
    taken = rng.sample(fields, min(len(fields), rng.choice((0, 1, 1, 2))))
    for field in fields:
        if field not in taken:
            odd.ClearField(field.name)
    nearly = type(fine)()
    nearly.CopyFrom(fine)
    nearly.MergeFrom(odd)
    return nearly


def _fill(rng: random.Random, message: Message, field: FieldDescriptor, depth: int) -> None:
    values = getattr(message, field.name)
    for _ in range(rng.choice((0, 1, 2, 5, 40))):
        if field.message_type is None:
            values.append(_value(rng, field))
        elif field.message_type.GetOptions().map_entry:
            values[_value(rng, field.message_type.fields[0])] = _value(rng, field.message_type.fields[1])
        else:
            values.add().CopyFrom(random_message(rng, field.message_type, depth + 1))


def _value(rng: random.Random, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        content = rng.choice((*recordings(), b"", b"x", bytes(4_000)))
        return mutated(rng, content) if content and rng.random() < 0.5 else content
    if field.type == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return rng.choice(_FLOATS)
    if field.enum_type is not None and rng.random() < 0.8:
        return rng.choice(field.enum_type.values).number
    low, high = _INTEGER_TYPES[field.type]
    return min(high, max(low, rng.choice(_INTEGERS)))

"""Ways to spoil bytes: of a Protobuf message, and of the HTTP/2 frames around it. Pure, and drawn from a `Random`."""

from collections.abc import Callable, Sequence
from random import Random

LONGEST_VARINT = b"\xff" * 9 + b"\x01"
DEEP = 5_000
MANY = 2_000

Mutation = Callable[[bytes, Random], bytes]


def mutated(data: bytes, random: Random) -> bytes:
    """`data` after one to three mutations."""
    for _ in range(random.randint(1, 3)):
        data = random.choice(MUTATIONS)(data, random)
    return data


def flip_bits(data: bytes, random: Random) -> bytes:
    """Some bits differ."""
    spoiled = bytearray(data or b"\0")
    for _ in range(random.randint(1, 8)):
        spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def cut(data: bytes, random: Random) -> bytes:
    """The end is missing."""
    return data[: random.randrange(len(data) + 1)]


def drop(data: bytes, random: Random) -> bytes:
    """A part in the middle is missing."""
    begin, end = _part(data, random)
    return data[:begin] + data[end:]


def repeat(data: bytes, random: Random) -> bytes:
    """A part is there several times."""
    begin, end = _part(data, random)
    return data[:begin] + data[begin:end] * random.randint(2, 20) + data[end:]


def insert(data: bytes, random: Random) -> bytes:
    """Random bytes stand in between."""
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.randint(1, 64)) + data[place:]


def repeat_whole(data: bytes, random: Random) -> bytes:
    """All of it is there many times: repeated fields grow, the others are given again and again."""
    return data * min(random.choice([2, 10, MANY]), 200_000 // max(1, len(data)) + 1)


def replace_all(data: bytes, random: Random) -> bytes:
    """Something else altogether, of any length."""
    return random.randbytes(random.choice([0, 1, 2, len(data), 5_000]))


def unknown_field(data: bytes, random: Random) -> bytes:
    """A field with a number and type of its own, right or not."""
    tag = varint(random.choice([1, 2, 3, 15, 16, 2_047, 19_000, 2**29 - 1]) << 3 | random.randrange(8))
    return data + tag + random.choice([b"", b"\0", LONGEST_VARINT, varint(2**31), random.randbytes(8)])


def long_varint(data: bytes, random: Random) -> bytes:
    """A number as large as can be written, or longer."""
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice([LONGEST_VARINT, b"\xff" * 12, b"\x80" * 9 + b"\0"]) + data[place:]


def wrapped(data: bytes, random: Random) -> bytes:
    """Messages in messages in messages."""
    number = random.randint(1, 6)
    for _ in range(random.choice([1, 99, 101, 300])):
        data = varint(number << 3 | 2) + varint(len(data)) + data
    return data


def groups(data: bytes, random: Random) -> bytes:
    """Groups that begin and do not end, or end and never began."""
    number = random.randint(1, 6)
    return data + varint(number << 3 | random.choice([3, 4])) * random.choice([1, 100, DEEP])


MUTATIONS: Sequence[Mutation] = (
    flip_bits,
    flip_bits,
    cut,
    drop,
    repeat,
    insert,
    repeat_whole,
    replace_all,
    unknown_field,
    long_varint,
    wrapped,
    groups,
)


def varint(value: int) -> bytes:
    """A number as Protobuf writes it."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _part(data: bytes, random: Random) -> tuple[int, int]:
    begin, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
    return begin, end

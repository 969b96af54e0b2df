"""HTTP/2 frames (RFC 9113) with gRPC calls in them, written by hand so that they can be written wrong.

Headers are literals without indexing (RFC 7541, section 6.2.2): nothing to keep
in step with. Pure; `tests.fuzz.wire` sends them.
"""

import zlib
from collections.abc import Sequence
from random import Random
from struct import pack

from tests.fuzz.mutations import mutated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, ACK = 0x1, 0x4, 0x8, 0x1
LONGEST_LENGTH = 2**24 - 1
STREAM_ID_MAX = 2**31 - 1

Header = tuple[bytes, bytes]


def frame(kind: int, flags: int, stream_id: int, payload: bytes, length: int | None = None) -> bytes:
    """A frame; `length` says another length than it has."""
    size = len(payload) if length is None else length
    return pack(">I", size)[1:] + bytes([kind & 0xFF, flags & 0xFF]) + pack(">I", stream_id & 0xFFFFFFFF) + payload


def header_block(headers: Sequence[Header]) -> bytes:
    """Headers as literals."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def call_headers(path: str, token: str) -> list[Header]:
    """The headers of a gRPC call."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"authorization", b"Bearer " + token.encode()),
    ]


def message(payload: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message with the prefix that gRPC gives it; `length` says another length than it has."""
    return pack(">BI", compressed, (len(payload) if length is None else length) & 0xFFFFFFFF) + payload


def call(path: str, token: str, messages: Sequence[bytes], stream_id: int = 1) -> list[bytes]:
    """The frames of a whole call, the settings first."""
    sent = b"".join(message(one) for one in messages)
    return [
        frame(SETTINGS, 0, 0, b""),
        frame(HEADERS, END_HEADERS, stream_id, header_block(call_headers(path, token))),
        frame(DATA, END_STREAM, stream_id, sent[:16_384]),
    ]


def bomb(size: int) -> bytes:
    """A gzip stream that becomes `size` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def spoiled(path: str, token: str, messages: Sequence[bytes], random: Random) -> bytes:
    """The bytes of a connection on which a call is made in some wrong way."""
    frames = call(path, token, messages)
    for _ in range(random.randint(1, 3)):
        frames = random.choice((_bytes, _order, _another, _headers, _length, _prefix, _split))(frames, random)
    preface = PREFACE if random.random() < 0.95 else mutated(PREFACE, random)
    return preface + b"".join(frames)


def _bytes(frames: list[bytes], random: Random) -> list[bytes]:
    """One frame's bytes are spoiled, its head included."""
    place = random.randrange(len(frames))
    return [*frames[:place], mutated(frames[place], random), *frames[place + 1 :]]


def _order(frames: list[bytes], random: Random) -> list[bytes]:
    """Frames are missing, come twice or in another order."""
    return random.choices(frames, k=random.randint(1, 2 * len(frames)))


def _another(frames: list[bytes], random: Random) -> list[bytes]:
    """Frames of any kind on any stream stand between."""
    made = list(frames)
    for _ in range(random.randint(1, 20)):
        stream_id = random.choice([0, 1, 1, 2, 3, 5, STREAM_ID_MAX, 2**31])
        payload = random.choice([b"", b"\0" * 4, b"\x7f\xff\xff\xff", random.randbytes(random.randint(1, 40))])
        another = frame(random.choice([*range(10), 11, 255]), random.randrange(256), stream_id, payload)
        made.insert(random.randrange(len(made) + 1), another)
    return made


def _headers(frames: list[bytes], random: Random) -> list[bytes]:
    """The headers are others than a call has."""
    odd: list[Header] = [
        (b":path", b"/nosuch"),
        (b":path", b"*"),
        (b":method", b"GET"),
        (b":unknown", b"x"),
        (b"", b""),
        (b"UPPER", b"case"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"-1"),
        (b"grpc-timeout", b"forever"),
        (b"grpc-timeout", b"0n"),
        (b"grpc-encoding", b"gzip"),
        (b"grpc-encoding", b"no-such"),
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"x-bin", b"%%%"),
        (b"x", bytes(range(1, 32))),
        (b"x", b"y" * random.choice([10_000, 100_000])),
        (b"authorization", random.randbytes(50)),
    ]
    block = header_block(random.sample(odd, random.randint(1, 6)))
    if random.random() < 0.3:
        block = mutated(block, random)
    at_end = random.random() < 0.5
    return [*frames, frame(HEADERS, random.randrange(64), 3, block)] if at_end else [frames[0], frame(1, 4, 1, block)]


def _length(frames: list[bytes], random: Random) -> list[bytes]:
    """A frame says another length than it has."""
    place = random.randrange(len(frames))
    length = pack(">I", random.choice([0, 1, 16_385, LONGEST_LENGTH]))[1:]
    return [*frames[:place], length + frames[place][3:], *frames[place + 1 :]]


def _prefix(frames: list[bytes], random: Random) -> list[bytes]:
    """A message says another length than it has, or that it is compressed."""
    payload = random.randbytes(random.randint(0, 30))
    length = random.choice([0, 1, len(payload), 2**22, 2**31, 2**32 - 1])
    wrong = message(payload, compressed=random.choice([0, 1, 2, 255]), length=length)
    return [*frames[:2], frame(DATA, random.choice([0, END_STREAM]), 1, wrong)]


def _split(frames: list[bytes], random: Random) -> list[bytes]:
    """Headers in many small parts, the last of which may be missing."""
    block = header_block(call_headers("/a/b", "x")) * random.choice([1, 50])
    parts = [block[begin : begin + 7] for begin in range(0, len(block), 7)]
    first = frame(HEADERS, 0, 1, parts[0])
    rest = [frame(CONTINUATION, 0, 1, part) for part in parts[1:]]
    return [frames[0], first, *rest[: random.randrange(len(rest) + 1)], *frames[1:]]


def _text(text: bytes) -> bytes:
    """A text with its length (RFC 7541, section 5.2), without Huffman coding."""
    length = len(text)
    if length < 0x7F:
        return bytes([length]) + text
    length -= 0x7F
    written = bytearray([0x7F])
    while length > 0x7F:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*written, length]) + text

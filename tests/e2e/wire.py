"""Thrift messages as bytes, binary and compact, written from the wire format and nothing of ours.

A struct is a list of fields (id, type, value) when it is written, a dict {id: value} when it is
read. Types: bool byte i16 i32 i64 double string struct list; a list's value is (type, [values]).
"""

import struct
from typing import NamedTuple

CALL, REPLY, EXCEPTION, ONEWAY = 1, 2, 3, 4
UNKNOWN_METHOD, INTERNAL_ERROR = 1, 6
UPGRADE = "__can__finagle__trace__v3__"


class Message(NamedTuple):
    kind: int
    name: str
    seqid: int
    fields: dict
    body: bytes  # the struct after the envelope, as it came


class Malformed(Exception):
    pass


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def as_bytes(value):
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def unpack(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]


class StreamReader(Reader):
    """Takes from a connection just what it is asked for: read(count) gives that many bytes."""

    def __init__(self, read):
        super().__init__(b"")
        self.read = read

    def take(self, count):
        if count > 0:
            self.data += self.read(count)
        return super().take(count)


class Binary:
    """The strict binary protocol."""

    name = "binary"
    old_form = False
    codes = {"bool": 2, "byte": 3, "double": 4, "i16": 6, "i32": 8, "i64": 10, "string": 11,
             "struct": 12, "list": 15}
    forms = {"bool": "?", "byte": "b", "double": "d", "i16": "h", "i32": "i", "i64": "q"}

    @classmethod
    def message(cls, kind, name, seqid, fields=()):
        name = as_bytes(name)
        return (struct.pack(">HBBi", 0x8001, 0, kind, len(name)) + name + struct.pack(">i", seqid) +
                cls.struct(fields))

    @classmethod
    def struct(cls, fields):
        out = b"".join(struct.pack(">Bh", cls.codes[kind], number) + cls.value(kind, value)
                       for number, kind, value in fields)
        return out + b"\0"

    @classmethod
    def value(cls, kind, value):
        if kind == "string":
            return struct.pack(">i", len(as_bytes(value))) + as_bytes(value)
        if kind == "struct":
            return cls.struct(value)
        if kind == "list":
            element, values = value
            return (struct.pack(">Bi", cls.codes[element], len(values)) +
                    b"".join(cls.value(element, one) for one in values))
        return struct.pack(">" + cls.forms[kind], value)

    @classmethod
    def read_message(cls, reader):
        word = reader.unpack("I")
        if word >> 16 == 0x8001:
            kind, name = word & 0xFF, reader.take(reader.unpack("i"))
        elif cls.old_form and word < 1 << 31:
            name, kind = reader.take(word), reader.unpack("B")
        else:
            raise Malformed(f"no binary message: it begins with {word:08x}")
        seqid = reader.unpack("i")
        start = reader.at
        fields = cls.read_struct(reader)
        return Message(kind, name.decode("utf-8", "surrogateescape"), seqid, fields,
                       reader.data[start:reader.at])

    @classmethod
    def read_struct(cls, reader):
        fields = {}
        while code := reader.unpack("B"):
            number = reader.unpack("h")
            fields[number] = cls.read_value(reader, code)
        return fields

    @classmethod
    def read_value(cls, reader, code):
        kinds = {number: kind for kind, number in cls.codes.items()}
        kind = kinds.get(code)
        if kind is None:
            raise Malformed(f"type {code}")
        if kind == "string":
            return reader.take(reader.unpack("i"))
        if kind == "struct":
            return cls.read_struct(reader)
        if kind == "list":
            element = reader.unpack("B")
            return [cls.read_value(reader, element) for _ in range(reader.unpack("i"))]
        return reader.unpack(cls.forms[kind])


class OldBinary(Binary):
    """The binary protocol without a version; it reads both forms, as everybody does."""

    old_form = True

    @classmethod
    def message(cls, kind, name, seqid, fields=()):
        name = as_bytes(name)
        return (struct.pack(">i", len(name)) + name + struct.pack(">Bi", kind, seqid) +
                cls.struct(fields))


class Compact:
    """The compact protocol."""

    name = "compact"
    codes = {"bool": 1, "byte": 3, "i16": 4, "i32": 5, "i64": 6, "double": 7, "string": 8,
             "list": 9, "struct": 12}

    @staticmethod
    def varint(value):
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)

    @classmethod
    def zigzag(cls, value):
        return cls.varint((value << 1) ^ (value >> 63) if value < 0 else value << 1)

    @classmethod
    def message(cls, kind, name, seqid, fields=()):
        name = as_bytes(name)
        return (bytes([0x82, kind << 5 | 1]) + cls.varint(seqid & 0xFFFFFFFF) +
                cls.varint(len(name)) + name + cls.struct(fields))

    @classmethod
    def struct(cls, fields):
        out, last = b"", 0
        for number, kind, value in fields:
            code = cls.codes[kind]
            if kind == "bool":
                code = 1 if value else 2
            if 0 < number - last <= 15:
                out += bytes([number - last << 4 | code])
            else:
                out += bytes([code]) + cls.zigzag(number)
            last = number
            if kind != "bool":
                out += cls.value(kind, value)
        return out + b"\0"

    @classmethod
    def value(cls, kind, value):
        if kind == "string":
            return cls.varint(len(as_bytes(value))) + as_bytes(value)
        if kind == "struct":
            return cls.struct(value)
        if kind == "list":
            element, values = value
            code = cls.codes[element]
            if len(values) < 15:
                head = bytes([len(values) << 4 | code])
            else:
                head = bytes([0xF0 | code]) + cls.varint(len(values))
            return head + b"".join(cls.value(element, one) for one in values)
        if kind == "double":
            return struct.pack("<d", value)
        if kind in ("bool", "byte"):
            return struct.pack("b", value)
        return cls.zigzag(value)

    @staticmethod
    def read_varint(reader):
        value, shift = 0, 0
        while True:
            byte = reader.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise Malformed("varint")

    @classmethod
    def read_zigzag(cls, reader):
        value = cls.read_varint(reader)
        return (value >> 1) ^ -(value & 1)

    @classmethod
    def read_message(cls, reader):
        head = reader.take(2)
        if head[0] != 0x82 or head[1] & 0x1F != 1:
            raise Malformed("no compact message")
        seqid = struct.unpack(">i", struct.pack(">I", cls.read_varint(reader)))[0]
        name = reader.take(cls.read_varint(reader)).decode("utf-8", "surrogateescape")
        start = reader.at
        fields = cls.read_struct(reader)
        return Message(head[1] >> 5, name, seqid, fields, reader.data[start:reader.at])

    @classmethod
    def read_struct(cls, reader):
        fields, last = {}, 0
        while head := reader.take(1)[0]:
            delta, code = head >> 4, head & 15
            last = last + delta if delta else cls.read_zigzag(reader)
            fields[last] = code == 1 if code in (1, 2) else cls.read_value(reader, code)
        return fields

    @classmethod
    def read_value(cls, reader, code):
        if code in (1, 2):
            return reader.take(1)[0] == 1
        if code == 3:
            return struct.unpack("b", reader.take(1))[0]
        if code in (4, 5, 6):
            return cls.read_zigzag(reader)
        if code == 7:
            return struct.unpack("<d", reader.take(8))[0]
        if code == 8:
            return reader.take(cls.read_varint(reader))
        if code in (9, 10):
            head = reader.take(1)[0]
            count = cls.read_varint(reader) if head >> 4 == 15 else head >> 4
            return [cls.read_value(reader, head & 15) for _ in range(count)]
        if code == 12:
            return cls.read_struct(reader)
        raise Malformed(f"type {code}")


def parse(protocol, payload):
    """The message that fills the payload."""
    reader = Reader(payload)
    message = protocol.read_message(reader)
    if reader.at != len(payload):
        raise Malformed(f"{len(payload) - reader.at} bytes after the message")
    return message


IDS = {"trace_id": 0x1122334455667788, "span_id": 0x1122334455667788, "sampled": True, "flags": 0}


def request_header(protocol, dest=None, dtab=(), client_id=None, contexts=(), unknown=(), ids=None):
    """TTwitter's RequestHeader; dtab is a list of (prefix, destination), `unknown` of fields."""
    ids = IDS if ids is None else ids
    kinds = [(1, "i64", "trace_id"), (2, "i64", "span_id"), (3, "i64", "parent_id"),
             (5, "bool", "sampled"), (7, "i64", "flags")]
    fields = [(number, kind, ids[key]) for number, kind, key in kinds if key in ids]
    if client_id is not None:
        fields.append((6, "struct", [(1, "string", client_id)]))
    pairs = [[(1, "string", key), (2, "string", value)] for key, value in contexts]
    fields.append((8, "list", ("struct", pairs)))
    if dest is not None:
        fields.append((9, "string", dest))
    if dtab:
        pairs = [[(1, "string", prefix), (2, "string", dst)] for prefix, dst in dtab]
        fields.append((10, "list", ("struct", pairs)))
    return protocol.struct(sorted(fields + list(unknown), key=lambda field: field[0]))

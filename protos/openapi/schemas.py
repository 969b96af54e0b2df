"""Messages and enums as JSON Schema 2020-12, in the form that the transcoder gives and takes.

Out: proto names; every field without presence is printed, whatever its value;
64-bit integers are texts; exactly one field of a oneof is there. In: nothing is
required but what the rules require. A message that goes both ways has two
schemas, and the one that goes in is called `…Input`. Called by
`protos.openapi.operations` and `protos.openapi.document`.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from protos.openapi import rules
from protos.openapi.contracts import Contracts, in_oneof

Schema = dict[str, Any]
Field = FieldDescriptorProto
UINT32_MAX, UINT64_MAX = 2**32 - 1, 2**64 - 1
INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1

_WIDE = {Field.TYPE_INT64, Field.TYPE_SFIXED64, Field.TYPE_SINT64}
_WIDE_UNSIGNED = {Field.TYPE_UINT64, Field.TYPE_FIXED64}
_NARROW = {Field.TYPE_INT32, Field.TYPE_SFIXED32, Field.TYPE_SINT32}
_NARROW_UNSIGNED = {Field.TYPE_UINT32, Field.TYPE_FIXED32}
_TIMESTAMP = "google.protobuf.Timestamp"
_TIME_OUT = {"type": "string", "format": "date-time", "pattern": "Z$"}
_TIME_IN = {"type": "string", "format": "date-time"}


def whole(pattern: str, *, may_be_empty: bool) -> str:
    """A pattern for the whole of a text, which JSON Schema would look for anywhere in it."""
    return f"^({pattern})?$" if may_be_empty else f"^{pattern}$"


class Schemas:
    """The schemas that operations refer to; they gather as they are asked for."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._going_out = _reachable(contracts, {method.response for method in contracts.methods})
        self._going_in = _reachable(contracts, {method.request for method in contracts.methods})
        self._shared = Counter(name.rpartition(".")[2] for name in self._going_out | self._going_in)
        self.components: dict[str, Schema] = {}

    def out(self, message: str) -> Schema:
        """A reference to the schema of a message that the server sends."""
        return self._message(message, going_in=False)

    def into(self, message: str) -> Schema:
        """A reference to the schema of a message that the client sends."""
        return self._message(message, going_in=True)

    def object_in(self, message: str, without: Collection[str] = ()) -> Schema:
        """The schema of a message that the client sends, less some fields."""
        proto = self._contracts.messages[message]
        required = [name for name in rules.REQUIRED.get(proto.name, ()) if name not in without]
        properties = {
            field.name: self.field_in(message, field, required=field.name in required)
            for field in proto.field
            if field.name not in without
        }
        schema: Schema = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})

    def field_in(self, message: str, field: Field, *, required: bool) -> Schema:
        """The schema of a field that the client gives; an empty text counts as not given."""
        bounds = rules.BOUNDS.get(f"{message.rpartition('.')[2]}.{field.name}", {})
        value = self._value(field, going_in=True, may_be_empty=not required)
        if field.label == Field.LABEL_REPEATED:
            return self._described(message, field, {"type": "array", "items": value, **bounds})
        return self._described(message, field, value | {**bounds})

    def _message(self, name: str, *, going_in: bool) -> Schema:
        component = self._component_name(name)
        if going_in and name in self._going_out:
            component += "Input"
        if component not in self.components:
            self.components[component] = {}  # Taken, for messages that contain themselves.
            made = self.object_in(name) if going_in else self._object_out(name)
            self.components[component] = {"description": self._contracts.comments.get(name, "")} | made
        return {"$ref": f"#/components/schemas/{component}"}

    def _object_out(self, name: str) -> Schema:
        proto = self._contracts.messages[name]
        properties = {field.name: self._field_out(name, field) for field in proto.field}
        schema: Schema = {"type": "object", "properties": properties}
        required = [field.name for field in proto.field if _is_always_printed(field)]
        if required:
            schema["required"] = required
        if choices := _choices(proto):
            schema["oneOf"] = [{"title": choice, "required": [choice]} for choice in choices]
        return schema

    def _field_out(self, message: str, field: Field) -> Schema:
        value = self._value(field, going_in=False, may_be_empty=True)
        if f"{message.rpartition('.')[2]}.{field.name}" in rules.ECHOES:
            value.pop("pattern", None)
        if field.label == Field.LABEL_REPEATED:
            value = {"type": "array", "items": value}
        return self._described(message, field, value)

    def _described(self, message: str, field: Field, schema: Schema) -> Schema:
        return {"description": self._contracts.comments.get(f"{message}.{field.name}", "")} | schema

    def _value(self, field: Field, *, going_in: bool, may_be_empty: bool) -> Schema:
        """The schema of one value of a field."""
        kind = field.type
        if kind == Field.TYPE_MESSAGE:
            name = field.type_name.lstrip(".")
            if name == _TIMESTAMP:
                return dict(_TIME_IN if going_in else _TIME_OUT)
            return self._message(name, going_in=going_in)
        if kind == Field.TYPE_ENUM:
            return self._enum(field.type_name.lstrip("."))
        if kind == Field.TYPE_STRING:
            return _text(field.name, may_be_empty=may_be_empty)
        return _number_in(kind) if going_in else _number_out(kind)

    def _enum(self, name: str) -> Schema:
        component = self._component_name(name)
        values = self._contracts.enums[name].value
        comments = self._contracts.comments
        said = [f"- `{value.name}`: {comments.get(f'{name}.{value.name}', '')}" for value in values]
        self.components[component] = {
            "description": "\n".join([comments.get(name, ""), "", *said]),
            "type": "string",
            "enum": [value.name for value in values],
        }
        return {"$ref": f"#/components/schemas/{component}"}

    def _component_name(self, name: str) -> str:
        """The short name, where no other package has the same."""
        short = name.rpartition(".")[2]
        return short if self._shared[short] <= 1 else name


def _reachable(contracts: Contracts, roots: set[str]) -> set[str]:
    """The messages and enums that can be inside some messages, those included."""
    found: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in found and name != _TIMESTAMP:
            found.add(name)
            if name in contracts.messages:
                left += [field.type_name.lstrip(".") for field in contracts.messages[name].field if field.type_name]
    return found


def _is_always_printed(field: Field) -> bool:
    if field.label == Field.LABEL_REPEATED:
        return True
    return not (field.type == Field.TYPE_MESSAGE or field.HasField("oneof_index"))


def _choices(proto: DescriptorProto) -> list[str]:
    """The fields of which exactly one is there."""
    assert len({field.oneof_index for field in proto.field if in_oneof(field)}) <= 1, f"{proto.name} has two oneofs"
    return [field.name for field in proto.field if in_oneof(field)]


def _text(name: str, *, may_be_empty: bool) -> Schema:
    pattern = rules.PATTERNS.get(name)
    if pattern:
        return {"type": "string", "pattern": whole(pattern, may_be_empty=may_be_empty)}
    return {"type": "string"} if may_be_empty else {"type": "string", "minLength": 1}


def _number_out(kind: int) -> Schema:
    if kind in _WIDE_UNSIGNED:
        return {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
    if kind in _WIDE:
        return {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
    if kind == Field.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return _number_in(kind)


def _number_in(kind: int) -> Schema:
    if kind in _NARROW_UNSIGNED:
        return {"type": "integer", "format": "uint32", "minimum": 0, "maximum": UINT32_MAX}
    if kind in _NARROW:
        return {"type": "integer", "format": "int32", "minimum": -INT32_MAX - 1, "maximum": INT32_MAX}
    if kind in _WIDE_UNSIGNED:
        return {"type": "integer", "format": "uint64", "minimum": 0, "maximum": UINT64_MAX}
    if kind in _WIDE:
        return {"type": "integer", "format": "int64", "minimum": -INT64_MAX - 1, "maximum": INT64_MAX}
    if kind == Field.TYPE_BOOL:
        return {"type": "boolean"}
    assert kind == Field.TYPE_DOUBLE, f"fields of type {kind} are not served"
    return {"type": "number", "format": "double"}

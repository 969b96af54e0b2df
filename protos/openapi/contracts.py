"""The contracts as they were compiled: messages, enums, public methods, and the comment of each.

Read from a descriptor set that has the source info. Internal services have no
HTTP rule, so they are not among the methods. Called by the rest of the package.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from ordergate.auth.v1 import auth_pb2 as auth

VERBS = ("get", "put", "post", "delete", "patch")
ORDERS = "ordergate.orders.v1"
# Field numbers in descriptor.proto, of which the paths of comments are made.
FILE_MESSAGES, FILE_ENUMS, FILE_SERVICES = 4, 5, 6
MESSAGE_FIELDS, ENUM_VALUES, SERVICE_METHODS = 2, 2, 2


@dataclass(frozen=True, slots=True)
class Binding:
    """One way in which REST reaches a method."""

    verb: str
    path: str
    """The template, such as `/api/v1/orders/{order_id}`."""
    body: str
    """`*` for all that the path does not take, a field, or nothing."""

    @property
    def path_fields(self) -> list[str]:
        """The fields in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)


@dataclass(frozen=True, slots=True)
class Method:
    """A public method."""

    service: str
    """Full name of its service."""
    proto: MethodDescriptorProto
    bindings: tuple[Binding, ...]
    rule: auth.Authorization

    @property
    def name(self) -> str:
        """Its full name, as comments are found by."""
        return f"{self.service}.{self.proto.name}"

    @property
    def request(self) -> str:
        """Full name of its request."""
        return self.proto.input_type.lstrip(".")

    @property
    def response(self) -> str:
        """Full name of its response."""
        return self.proto.output_type.lstrip(".")


class Contracts:
    """Everything of a descriptor set, by full name."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self.messages: dict[str, DescriptorProto] = {}
        self.enums: dict[str, EnumDescriptorProto] = {}
        self.comments: dict[str, str] = {}
        self.methods: list[Method] = []
        for file in files.file:
            self.messages |= {f"{file.package}.{message.name}": message for message in file.message_type}
            self.enums |= {f"{file.package}.{enum.name}": enum for enum in file.enum_type}
            self.comments |= _comments(file)
            self.methods += _methods(file)
        # Orders first: they are what people come for.
        self.methods.sort(key=lambda method: not method.service.startswith(ORDERS))

    @classmethod
    def read(cls, descriptor_set: bytes) -> Self:
        """The contracts in a serialized descriptor set."""
        return cls(FileDescriptorSet.FromString(descriptor_set))

    @property
    def services(self) -> list[str]:
        """Full names of the services with public methods, in the order of the protos."""
        return list(dict.fromkeys(method.service for method in self.methods))

    def oneof_members(self, message: DescriptorProto, field: FieldDescriptorProto) -> list[str]:
        """The fields that exclude each other with `field`, itself among them; none outside a oneof."""
        if not in_oneof(field):
            return []
        return [other.name for other in message.field if in_oneof(other) and other.oneof_index == field.oneof_index]


def in_oneof(field: FieldDescriptorProto) -> bool:
    """Whether a field is in a oneof that stands in the proto; `optional` makes one that does not."""
    return field.HasField("oneof_index") and not field.proto3_optional


def _methods(file: FileDescriptorProto) -> Iterator[Method]:
    for service in file.service:
        for method in service.method:
            rule: http_pb2.HttpRule = method.options.Extensions[annotations_pb2.http]
            bindings = tuple(_binding(one) for one in (rule, *rule.additional_bindings) if one.WhichOneof("pattern"))
            if bindings:
                authorization = method.options.Extensions[auth.authorization]
                yield Method(f"{file.package}.{service.name}", method, bindings, authorization)


def _binding(rule: http_pb2.HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern")
    assert verb in VERBS, f"{verb} is not served"
    return Binding(verb, getattr(rule, verb), rule.body)


def _comments(file: FileDescriptorProto) -> dict[str, str]:
    """The leading comments of a file, by full name; lines are joined to paragraphs."""
    by_path = {tuple(one.path): _paragraphs(one.leading_comments) for one in file.source_code_info.location}
    return {name: by_path[path] for name, path in _paths(file) if by_path.get(path)}


def _paths(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    kinds: tuple[tuple[int, Any, int, str], ...] = (
        (FILE_MESSAGES, file.message_type, MESSAGE_FIELDS, "field"),
        (FILE_ENUMS, file.enum_type, ENUM_VALUES, "value"),
        (FILE_SERVICES, file.service, SERVICE_METHODS, "method"),
    )
    for kind, parts, inner_kind, inner in kinds:
        for number, part in enumerate(parts):
            name = f"{file.package}.{part.name}"
            yield name, (kind, number)
            for inner_number, one in enumerate(getattr(part, inner)):
                yield f"{name}.{one.name}", (kind, number, inner_kind, inner_number)


def _paragraphs(comment: str) -> str:
    parts = re.split(r"\n\s*\n", comment.strip())
    return "\n\n".join(" ".join(part.split()) for part in parts)

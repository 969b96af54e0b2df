from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_TRADER: _ClassVar[Role]
    ROLE_MARKET_MAKER: _ClassVar[Role]
    ROLE_RISK_OFFICER: _ClassVar[Role]
    ROLE_COMPLIANCE_OFFICER: _ClassVar[Role]
    ROLE_AUDITOR: _ClassVar[Role]
    ROLE_OPERATOR: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]

class Access(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_UNSPECIFIED: _ClassVar[Access]
    ACCESS_ROLES: _ClassVar[Access]
    ACCESS_OPEN: _ClassVar[Access]
    ACCESS_SERVICE: _ClassVar[Access]
ROLE_UNSPECIFIED: Role
ROLE_TRADER: Role
ROLE_MARKET_MAKER: Role
ROLE_RISK_OFFICER: Role
ROLE_COMPLIANCE_OFFICER: Role
ROLE_AUDITOR: Role
ROLE_OPERATOR: Role
ROLE_ADMIN: Role
ACCESS_UNSPECIFIED: Access
ACCESS_ROLES: Access
ACCESS_OPEN: Access
ACCESS_SERVICE: Access
AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
authorization: _descriptor.FieldDescriptor

class Authorization(_message.Message):
    __slots__ = ("access", "roles", "account_field", "any_account_roles")
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_FIELD_NUMBER: _ClassVar[int]
    ANY_ACCOUNT_ROLES_FIELD_NUMBER: _ClassVar[int]
    access: Access
    roles: _containers.RepeatedScalarFieldContainer[Role]
    account_field: str
    any_account_roles: _containers.RepeatedScalarFieldContainer[Role]
    def __init__(self, access: _Optional[_Union[Access, str]] = ..., roles: _Optional[_Iterable[_Union[Role, str]]] = ..., account_field: _Optional[str] = ..., any_account_roles: _Optional[_Iterable[_Union[Role, str]]] = ...) -> None: ...

"""Imports go one way: stubs and pure cores below, servers above, and no server knows another."""

import ast
from fnmatch import fnmatchcase

from tests.architecture.sources import GENERATED, REPOSITORY, Module, called_in

SERVERS = ("gateway", "matching", "marketdata", "compliance")
OURS = (*SERVERS, "runtime", "clients")

PURE = (
    "matching.core",
    "matching.core.*",
    "marketdata.depth",
    "marketdata.trades",
    "marketdata.ring",
    "marketdata.candles",
    "compliance.merkle",
    "compliance.checkpoint",
    "compliance.tiles",
    "compliance.verify",
    "runtime.decimals",
    "gateway.rates.bucket",
    "gateway.rates.lease",
)
PURE_NEEDS = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "math",
    "msgspec",
    "mypy_extensions",
    "operator",
    "re",
    "struct",
    "typing",
}
"""What cannot read a clock, a file, an environment or a network, and is the same on every run."""
PURE_NEEDS_MORE = {"compliance.checkpoint": {"cryptography"}}
PURE_CALLS_NEVER = {"open", "print", "input", "eval", "exec", "compile", "__import__", "hash", "id", "breakpoint"}

SHARED_WITH_CLIENTS = ("compliance.merkle", "compliance.checkpoint", "compliance.tiles", "compliance.verify")
SERVER_COMMANDS = ("clients.cli.servers", "clients.cli.journals")


def is_pure(name: str) -> bool:
    """Whether a module, or what is imported from one, is a pure core."""
    names = (name, name.rpartition(".")[0])
    return any(fnmatchcase(candidate, pattern) for candidate in names for pattern in PURE)


def modules_of(modules: list[Module], *packages: str) -> list[Module]:
    """The modules below some top-level packages."""
    return [module for module in modules if module.package in packages]


def test_the_walk_sees_imports(modules: list[Module]) -> None:
    """The imports that everybody knows are found, within functions too; a test that sees nothing proves nothing."""
    by_name = {module.name: module for module in modules}
    assert "matching.core.engine" in {one.module for one in by_name["matching.server"].imports} | {
        one.module for one in by_name["matching.recovery"].imports
    }
    journals = {one.module: one for one in by_name["clients.cli.journals"].imports}
    assert journals["matching.recovery"].inside_function
    assert any(one.module == "*.server" for one in by_name["clients.cli.servers"].imports)


def test_servers_do_not_import_each_other(modules: list[Module]) -> None:
    """They speak over contracts."""
    wrong = [
        f"{module.path} imports {one.module}"
        for module in modules_of(modules, *SERVERS)
        for one in module.imports
        if one.module.partition(".")[0] in {*SERVERS, "clients", "tests"} - {module.package}
    ]
    assert not wrong


def test_the_runtime_knows_no_server(modules: list[Module]) -> None:
    """What every server needs imports none of them, and no client either."""
    wrong = [
        f"{module.path} imports {one.module}"
        for module in modules_of(modules, "runtime")
        for one in module.imports
        if one.module.partition(".")[0] in {*SERVERS, "clients", "tests"}
    ]
    assert not wrong


def test_clients_do_not_need_the_servers(modules: list[Module]) -> None:
    """Only commands that run a server or read its files import it, when they run; proofs share the pure code."""
    wrong = [
        f"{module.path} imports {one.module}"
        for module in modules_of(modules, "clients")
        for one in module.imports
        if one.module.partition(".")[0] in {*SERVERS, "*"}
        and not is_within(one.module, SHARED_WITH_CLIENTS)
        and not (one.inside_function and module.name in SERVER_COMMANDS)
    ]
    assert not wrong


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether `name` is one of the modules or something in it."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_nothing_of_ours_imports_tests(modules: list[Module]) -> None:
    """The product stands without its tests."""
    wrong = [
        m.path for m in modules_of(modules, *OURS, "protos") for one in m.imports if is_within(one.module, ("tests",))
    ]
    assert not wrong


def test_stubs_are_at_the_bottom(files: list[str]) -> None:
    """Generated code imports nothing of ours but generated code."""
    stubs = [path for path in files if path.startswith(GENERATED) and path.endswith(".py")]
    assert stubs
    for path in stubs:
        lines = [
            line.split()[1]
            for line in (REPOSITORY / path).read_text().splitlines()
            if line.startswith(("import ", "from "))
        ]
        assert not [name for name in lines if name.partition(".")[0] in OURS], path


def test_pure_cores_import_nothing_impure(modules: list[Module]) -> None:
    """No grpc, protobuf, asyncio, clock, randomness, environment, logging or I/O; and nothing of ours that has any."""
    pure = [module for module in modules if is_pure(module.name) and module.package != "tests"]
    assert {"matching.core.engine", "marketdata.depth", "compliance.merkle", "runtime.decimals"} <= {
        m.name for m in pure
    }
    wrong = [
        f"{module.path} imports {one.module}"
        for module in pure
        for one in module.imports
        if not may_be_imported_by(module.name, one.module)
    ]
    assert not wrong


def may_be_imported_by(importer: str, name: str) -> bool:
    """Whether a pure module may import `name`."""
    top = name.partition(".")[0]
    if top in OURS:
        return is_pure(name) or any(pattern.startswith(f"{name}.") for pattern in PURE)
    return top in PURE_NEEDS | PURE_NEEDS_MORE.get(importer, set())


def test_pure_cores_call_nothing_impure(modules: list[Module]) -> None:
    """No file, no output, and no value that differs from run to run, such as a hash or an address."""
    for module in modules:
        if is_pure(module.name):
            calls = called_in(module.tree)
            assert not calls & PURE_CALLS_NEVER, module.path


def test_the_core_counts_in_integers(modules: list[Module]) -> None:
    """No float literal, no conversion to float and no true division where prices, quantities and money are."""
    exact = [
        m
        for m in modules
        if m.name.startswith("matching.core") or m.name in ("runtime.decimals", "runtime.instruments")
    ]
    for module in exact:
        for node in ast.walk(module.tree):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (
                f"{module.path}:{node.lineno}"
            )
            assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), (
                f"{module.path}:{node.lineno}"
            )
            assert not (isinstance(node, ast.Call) and ast.unparse(node.func) == "float"), (
                f"{module.path}:{node.lineno}"
            )


def test_only_the_clock_reads_the_clock(modules: list[Module]) -> None:
    """In servers and the runtime the time of events and reports comes from one place."""
    for module in modules_of(modules, *SERVERS):
        calls = called_in(module.tree)
        assert not calls & {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}, module.path

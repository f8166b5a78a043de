"""The rules of the design, read from the sources: who may import whom, how long things are, and what stands in one place only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.requirements import ROOT

pytestmark = pytest.mark.slow

PACKAGE = "hail_batch_jupyter"
FOLDER = ROOT / PACKAGE
LABEXTENSION = ROOT / "labextension" / "src"

LAYERS = {
    "errors": 0,
    "config": 0,
    "core": 1,
    "compile": 2,
    "observe": 2,
    "storage": 2,
    "cluster": 2,
    "client": 2,
    "cost": 2,
    "batch": 3,
    "engine": 3,
    "executors": 3,
    "backends": 4,
    "pipeline": 4,
    "authcli": 4,
    "runscli": 4,
    "cli": 5,
    "jupyter": 6,
    "__main__": 6,
    "service": 7,
    "": 8,
}
"""Top-level module or package -> layer; '' is the package itself. Imports point to lower numbers, or stay inside."""

ONE_BOX = {("engine", "executors"), ("config", "errors"), ("cli", "service"), ("observe", "cost"), ("storage", "client")}
"""Pairs of one layer of which the first may import the second: the runner's process is put together in `engine`, settings raise errors, a command serves,
a run tells what it costs, a service has files."""

TYPES_FROM_ABOVE = {
    "batch/__init__.py": "backends come through the registry, the type checker has to know them",
    "batch/backend.py": "as above: hailtop's scripts import the backends from this module too",
}
"""Files that may import upwards below `if TYPE_CHECKING` -> why."""

PYTHON_39 = ("core", "cost", "engine", "executors", "observe", "cluster", "errors", "config", "storage")
"""What the process of a job may import, with whatever Python the job has."""

LONG_FILES: dict[str, str] = {"cluster/plugins/nobatch/pybatch_manager.py": "one stand-alone file, which is copied to the other machine"}
"""Files of more than 400 lines -> why."""

LONG_FUNCTIONS: dict[str, str] = {}
"""'package/module.py:function' of more than 60 lines -> why."""

PRINTING = {
    "authcli": "a command line writes to its terminal",
    "runscli": "a command line writes to its terminal",
    "cli": "a command line writes to its terminal",
    "__main__": "a command line writes to its terminal",
    "jupyter": "what a magic says stands under its cell",
}
"""Top-level modules and packages that may call print -> why."""


@cache
def sources() -> dict[str, ast.Module]:
    """Dotted module name -> syntax tree, of every module of the package."""
    return {module_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in sorted(FOLDER.rglob("*.py"))}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return module_file if (module_file := path.with_suffix(".py")).is_file() else path / "__init__.py"


def told(module: str, node: ast.AST) -> str:
    return f"{file_of(module).relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def imports(module: str) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement of our own modules, also inside functions: (statement, imported module)."""
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, node)
            if base.split(".")[0] == PACKAGE:
                yield from ((node, name if (name := f"{base}.{alias.name}") in sources() else base) for alias in node.names)


def absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module if file_of(module).name == "__init__.py" else module.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def part(module: str) -> str:
    """The top-level module or package below ours: 'core' of 'hail_batch_jupyter.core.units', '' of ours."""
    return [*module.split("."), ""][1]


def type_checking_only(tree: ast.Module) -> set[ast.stmt]:
    """Statements below `if TYPE_CHECKING`."""
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return {statement for guard in guards for body in guard.body for statement in ast.walk(body) if isinstance(statement, ast.stmt)}


def may_import(importer: str, imported: str) -> bool:
    if importer == imported or (importer, imported) in ONE_BOX:
        return True
    return LAYERS[imported] < LAYERS[importer]


def texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """Strings that are no docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


def test_every_module_has_a_layer() -> None:
    assert {part(module) for module in sources()} <= LAYERS.keys()


def test_imports_point_downwards() -> None:
    upwards = [
        f"{told(module, node)} imports {imported}"
        for module in sources()
        for node, imported in imports(module)
        if not may_import(part(module), part(imported)) and not types_from_above(module, node)
    ]

    assert not upwards, "\n".join(upwards)


def types_from_above(module: str, node: ast.stmt) -> bool:
    return str(file_of(module).relative_to(FOLDER)) in TYPES_FROM_ABOVE and node in type_checking_only(sources()[module])


def test_a_breach_of_the_layers_would_be_seen() -> None:
    assert not may_import("core", "observe")
    assert not may_import("observe", "compile")
    assert not may_import("batch", "engine")
    assert may_import("batch", "compile")


def test_there_are_no_import_cycles() -> None:
    graph = {
        module: {imported for node, imported in imports(module) if imported != module and node not in type_checking_only(sources()[module])}
        for module in sources()
    }

    assert cycle(graph) == []


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The names along one cycle, [] when there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        found = next(filter(None, (visit(other, [*way, name]) for other in sorted(graph.get(name, ())))), [])
        done.add(name)
        return found

    return next(filter(None, (visit(name, []) for name in sorted(graph))), [])


def test_a_cycle_would_be_seen() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_files_have_at_most_400_lines() -> None:
    lengths = {str(file_of(module).relative_to(FOLDER)): len(file_of(module).read_text(encoding="utf-8").splitlines()) for module in sources()}

    assert {name for name, lines in lengths.items() if lines > 400} == LONG_FILES.keys()


def test_functions_have_at_most_60_lines() -> None:
    long = {
        f"{file_of(module).relative_to(FOLDER)}:{node.name}"
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    }

    assert long == LONG_FUNCTIONS.keys()


def test_modules_that_jobs_import_parse_on_python_3_9() -> None:
    for module in sources():
        if part(module) in (*PYTHON_39, ""):
            ast.parse(file_of(module).read_text(encoding="utf-8"), str(file_of(module)), feature_version=(3, 9))


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        pytest.param(r"\b(SELECT\b.+\bFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX))\b", "service.store", id="SQL"),
        pytest.param(r"\bsacct\b", "cluster.slurm", id="sacct"),
    ],
)
def test_words_of_another_system_have_one_home(pattern: str, home: str) -> None:
    elsewhere = [
        f"{told(module, node)} {node.value!r}"
        for module, tree in sources().items()
        if not module.startswith(f"{PACKAGE}.{home}")
        for node in texts(tree)
        if re.search(pattern, str(node.value), re.DOTALL)
    ]

    assert not elsewhere, "\n".join(elsewhere)


def test_every_suppression_names_its_rule_and_its_reason() -> None:
    bare = [f"{name}:{number}: {line.strip()}" for name, number, line in lines_of_modules() if SUPPRESSION.search(line) and not REASONED.search(line)]

    assert not bare, "\n".join(bare)


SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore)")
REASONED = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \w|type: ignore\[[\w, -]+\]\s+# \w)")


@pytest.mark.parametrize(
    ("line", "good"),
    [
        pytest.param("f()  # noqa: BLE001 - a listener may raise anything", True, id="noqa with reason"),
        pytest.param("f()  # noqa: BLE001", False, id="noqa without reason"),
        pytest.param("f()  # noqa", False, id="noqa of everything"),
        pytest.param("f()  # type: ignore[override]  # hailtop's signature", True, id="type with reason"),
        pytest.param("f()  # type: ignore[override]", False, id="type without reason"),
    ],
)
def test_a_suppression_without_a_reason_would_be_seen(line: str, good: bool) -> None:
    assert SUPPRESSION.search(line)
    assert bool(REASONED.search(line)) is good


def lines_of_modules() -> Iterator[tuple[Path, int, str]]:
    for module in sources():
        path = file_of(module)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path.relative_to(ROOT), number, line


def test_the_library_does_not_print() -> None:
    printing = [
        told(module, node)
        for module, tree in sources().items()
        if part(module) not in PRINTING
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]

    assert not printing, "\n".join(printing)


def written() -> list[Path]:
    """The files that people write, of package, front end, benchmarks, notebooks and documentation."""
    folders = [FOLDER, LABEXTENSION, ROOT / "benchmarks", ROOT / "notebooks", ROOT / "docs"]
    built = (FOLDER / "labextension", FOLDER / "jupyter" / "static", ROOT / "benchmarks" / "results")
    kinds = {".py", ".pyi", ".ts", ".css", ".md", ".ipynb", ".json"}
    below = (path for folder in folders for path in folder.rglob("*") if path.suffix in kinds)
    return [path for path in below if not any(path.is_relative_to(folder) for folder in built)]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"(?<![\w.~$}])/(home|root|Users)/[A-Za-z]", id="home of a person"),
        pytest.param(r"(#|//|\*|<!--)\s*(TODO|FIXME|XXX|HACK)\b", id="to do"),
    ],
)
def test_no_source_holds(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in written()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]

    assert not found, "\n".join(found)


def front_end() -> list[Path]:
    return sorted([*LABEXTENSION.rglob("*.ts"), *LABEXTENSION.rglob("*.tsx")])


def test_the_front_end_fetches_in_request_ts_only() -> None:
    fetching = {path.name for path in front_end() if re.search(r"(?<![\w.#])fetch\(|\bmakeRequest\(|XMLHttpRequest", path.read_text(encoding="utf-8"))}

    assert front_end()
    assert fetching <= {"request.ts"}


def test_states_have_the_same_codes_in_python_and_in_the_browser() -> None:
    from hail_batch_jupyter.core.state import JobState
    from hail_batch_jupyter.jupyter.live.graph import REUSED, STATE_CODES

    text = (LABEXTENSION / "states.ts").read_text(encoding="utf-8")
    names = re.search(r"STATE_NAMES[^=]*=\s*\[([^\]]*)\]", text)
    bit = re.search(r"REUSED_BIT\s*=\s*(\d+)", text)

    assert names is not None
    assert bit is not None
    assert re.findall(r'"(\w+)"', names[1]) == [*(state.value.lower() for state in sorted(JobState, key=STATE_CODES.__getitem__)), "reused"]
    assert sorted(STATE_CODES.values()) == list(range(len(JobState)))
    assert int(bit[1]) == REUSED


def test_the_version_of_the_wire_is_the_same_in_python_and_in_the_browser() -> None:
    from hail_batch_jupyter.jupyter.live.graph import VERSION

    found = re.search(r"export const VERSION = (\d+);", (LABEXTENSION / "contract.ts").read_text(encoding="utf-8"))

    assert found is not None
    assert int(found[1]) == VERSION


def test_batch_states_are_the_same_in_python_and_in_the_browser() -> None:
    from hail_batch_jupyter.core.state import BatchState

    found = re.search(r"type BatchState =([^;]*);", (LABEXTENSION / "contract.ts").read_text(encoding="utf-8"))

    assert found is not None
    assert set(re.findall(r'"(\w+)"', found[1])) == {state.value for state in BatchState}

"""What import-linter can't hold: who reads the environment, and which libraries we say we use.

The layers themselves, and which library belongs where, are contracts in ``pyproject.toml``
(``lint-imports`` checks them).
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "domain", "eventstore", "projections", "scheduler")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
SETTINGS_LIBRARIES = {"dotenv", "pydantic_settings"}


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_bytes(), str(path))


def imported_packages(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def libraries(tree: ast.Module) -> set[str]:
    return imported_packages(tree) - sys.stdlib_module_names - set(PACKAGES)


def reads_the_environment(tree: ast.Module) -> bool:
    if imported_packages(tree) & SETTINGS_LIBRARIES:
        return True
    names_of_os: set[str] = set()
    names_of_environment: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names_of_os |= {alias.asname or "os" for alias in node.names if alias.name == "os"}
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            names_of_environment |= ENVIRONMENT & {alias.name for alias in node.names}
    return bool(names_of_environment) or any(
        isinstance(node, ast.Attribute)
        and node.attr in ENVIRONMENT
        and isinstance(node.value, ast.Name)
        and node.value.id in names_of_os
        for node in ast.walk(tree)
    )


def distribution(requirement: str) -> str:
    """The normalised name of a requirement (PEP 503)."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def declared() -> tuple[set[str], set[str]]:
    """What ``pyproject.toml`` asks for: to run, and to build and develop."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = pyproject["dependency-groups"]
    to_run = {distribution(line) for line in pyproject["project"]["dependencies"]}
    return to_run, {distribution(line) for group in groups.values() for line in group}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['HOME']",
        "import os as system\ndef f():\n    return system.getenv('HOME')",
        "from os import environ",
        "from os import path, getenv as look_up",
        "def f():\n    from dotenv import load_dotenv",
        "import pydantic_settings.sources",
    ],
)
def test_every_way_to_read_the_environment_is_seen(source: str) -> None:
    assert reads_the_environment(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.path.join('a', 'b')",
        "from os import path",
        "request.environ['wsgi.input']",
        "from .dotenv import something",
    ],
)
def test_what_only_looks_like_it_is_not(source: str) -> None:
    assert not reads_the_environment(ast.parse(source))


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path
        for package in PACKAGES
        for path, tree in modules(package)
        if reads_the_environment(tree)
    }
    assert readers == {"api/settings.py"}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("domain", {"croniter", "msgspec"}),
        ("eventstore", {"alembic", "cryptography", "psycopg", "sqlalchemy"}),
        ("projections", {"msgspec", "sqlalchemy"}),
    ],
)
def test_the_inner_layers_stand_on_few_libraries(package: str, allowed: set[str]) -> None:
    others = {
        path: beyond for path, tree in modules(package) if (beyond := libraries(tree) - allowed)
    }
    assert others == {}


def test_every_library_that_is_imported_is_declared() -> None:
    to_run, _ = declared()
    providers = packages_distributions()
    undeclared = {
        f"{path}: {library}"
        for package in PACKAGES
        for path, tree in modules(package)
        for library in libraries(tree)
        if not {distribution(name) for name in providers.get(library, [])} & to_run
    }
    assert undeclared == set()


def test_every_declared_dependency_has_its_reason_in_the_documentation() -> None:
    to_run, to_develop = declared()
    told = re.findall(
        r"^\| `([^`]+)` \|",
        (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(map(distribution, told)) == sorted(to_run | to_develop)

"""Imports the user's file or module and evaluates the expression that names the model."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from convlint.ir.nodes import SourceSpan
from convlint.tracing import failures
from convlint.tracing.build import build
from convlint.tracing.failures import ReadError
from convlint.tracing.sources import Locator
from convlint.wire import Failure, Request


def import_target(request: Request, locator: Locator) -> ModuleType:
    """Return the imported module of a Request; raise ReadError with the line at fault."""
    for entry in reversed(request.search_path):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    try:
        if request.file is not None:
            return _import_file(Path(request.file))
        assert request.module is not None
        return importlib.import_module(request.module)
    except (Exception, SystemExit) as error:
        raise ReadError(failures.of_import(error, locator)) from error


def _import_file(file: Path) -> ModuleType:
    package = _package_name(file) or _namespace_name(file)
    if package is not None:
        folder, name = package
        if folder not in sys.path:
            sys.path.insert(0, folder)
        module = importlib.import_module(name)
        if module.__file__ and Path(module.__file__).resolve() == file.resolve():
            return module
    name = file.stem if file.stem.isidentifier() else f"model_{abs(hash(file.stem))}"
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"convlint_target_{name}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _package_name(file: Path) -> tuple[str, str] | None:
    """Return (folder above the topmost package, dotted name) of a file inside a package."""
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    inside = (file.parent / "__init__.py").exists()
    named = all(part.isidentifier() for part in parts)
    return (str(folder), ".".join(parts)) if inside and named and parts else None


def _namespace_name(file: Path) -> tuple[str, str] | None:
    """Return (folder, dotted name) of a file that imports its neighbours without a package.

    ``from .blocks import Block`` works there where the file is imported from further up.
    """
    tree = ast.parse(file.read_bytes(), filename=str(file))
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    above = file.parents[: max(levels, default=0)]
    parts = [*(folder.name for folder in reversed(above)), file.stem]
    if not above or not all(part.isidentifier() for part in parts):
        return None
    return str(above[-1].parent), ".".join(parts)


def make_model(
    request: Request,
    module: ModuleType,
    locator: Locator,
    builder: Callable[[Callable[[], Any]], Any] = build,
) -> tuple[nn.Module, str]:
    """Return (model, expression) of the first expression that gives an nn.Module.

    ``builder`` runs the constructor (default: with weights on meta).

    Raises ReadError with the last failure. A tentative request whose name is no nn.Module
    raises one of the kind "not-a-module".
    """
    if not request.expressions:
        raise ReadError(_no_expression(request, module))
    failure: Failure | None = None
    for expression in request.expressions:
        try:
            return _evaluate(expression, module, request, locator, builder), expression
        except ReadError as error:
            if error.failure.kind == "not-a-module" and request.tentative:
                raise
            failure = failure or error.failure
    assert failure is not None
    raise ReadError(failure)


def _no_expression(request: Request, module: ModuleType) -> Failure:
    name = request.class_name or "the model"
    kind = getattr(module, name, None)
    if request.tentative and not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        return Failure("not-a-module", f"{name} is no torch.nn.Module")
    span = SourceSpan(request.target.partition(":")[0], request.class_line)
    names = request.required or failures.missing_arguments(kind)
    return failures.needs_arguments(name, request.target, names, span)


def _evaluate(
    expression: str,
    module: ModuleType,
    request: Request,
    locator: Locator,
    builder: Callable[[Callable[[], Any]], Any],
) -> nn.Module:
    def make() -> Any:
        value = eval(compile(expression, "<expression>", "eval"), vars(module))
        return _call(value, request)

    try:
        value = builder(make)
    except ReadError:
        raise
    except (NameError, AttributeError) as error:
        raise ReadError(_expression_failure(error, expression, module, locator)) from error
    except (Exception, SystemExit) as error:
        short = _needs_more(error, module, request)
        raise ReadError(short or _build_failure(error, expression, locator)) from error
    if not isinstance(value, nn.Module):
        what = f"{expression} is a {type(value).__name__}, not a torch.nn.Module"
        raise ReadError(Failure("not-a-module", what, "name a class, a function or an instance"))
    return value


def _call(value: Any, request: Request) -> Any:
    """Call a class or function that the expression names; an instance is the model."""
    if isinstance(value, nn.Module) or not callable(value):
        return value
    if isinstance(value, type) and not issubclass(value, nn.Module):
        return value
    names = failures.missing_arguments(value)
    if names:
        name = getattr(value, "__name__", "the model")
        span = SourceSpan(request.target.partition(":")[0], request.class_line)
        span = _definition(value, span) if request.file else span
        raise ReadError(failures.needs_arguments(name, request.target, names, span))
    maker: Callable[[], Any] = value
    return maker()


def _needs_more(error: BaseException, module: ModuleType, request: Request) -> Failure | None:
    """Return the Failure of a model that something built with too few arguments."""
    name = request.class_name or ""
    kind = getattr(module, name, None)
    names = failures.not_given(error, kind)
    if not names:
        return None
    span = SourceSpan(request.target.partition(":")[0], request.class_line)
    return failures.needs_arguments(name, request.target, names, span)


def _definition(value: Any, default: SourceSpan) -> SourceSpan:
    try:
        line = inspect.getsourcelines(value)[1]
    except (OSError, TypeError):
        return default
    return SourceSpan(default.path, line)


def _expression_failure(
    error: Exception, expression: str, module: ModuleType, locator: Locator
) -> Failure:
    """A name that the module does not have: say which come close."""
    from convlint import errors

    place = failures.locate(error, locator)
    name = getattr(error, "name", None)
    if place is not None or name is None or name in vars(module):
        return failures.describe(
            error, "build-error", locator, what=f"building {expression} failed"
        )
    models = [
        key
        for key, value in vars(module).items()
        if (isinstance(value, type) and issubclass(value, nn.Module))
        or isinstance(value, nn.Module)
    ]
    fix = errors.suggest(name, [key for key in vars(module) if not key.startswith("_")])
    if not fix and models:
        fix = f"models there: {', '.join(sorted(models)[:8])}"
    return Failure("expression-error", f"no '{name}' in {module.__name__}", fix)


def _build_failure(error: BaseException, expression: str, locator: Locator) -> Failure:
    fix = ""
    if isinstance(error, FileNotFoundError):
        fix = "relative paths start at the folder that convlint is run in"
    elif isinstance(error, OSError) or "offline" in str(error).lower():
        fix = "the constructor downloads something: pass weights=None (or pretrained=False)"
    return failures.describe(
        error, "build-error", locator, what=f"building {expression} failed", fix=fix
    )

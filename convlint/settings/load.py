"""Finds the one configuration file of a run and merges it with the flags."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from convlint import __version__, errors, profiles
from convlint.settings import limits, table, version
from convlint.settings.model import FailLevel, Settings


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line sets; None where a flag was not given."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    fail_level: FailLevel | None = None
    profile: str | None = None
    ram: str | None = None
    runtime: str | None = None


def load(places: Sequence[Path], flags: Flags, config: Path | None = None) -> Settings:
    """Return the settings for these files and folders.

    The configuration is ``config``, else the nearest pyproject.toml above them; none is fine.
    Raises ConfigError, also where they belong to projects that are configured differently.
    """
    if config is not None:
        return _merge(_from_file(config, required=True), flags)
    files = dict.fromkeys(_nearest(place) for place in places or [Path.cwd()])
    found = {file: _from_file(file) for file in files if file is not None}
    if not found:
        return _merge(Settings(root=project_root((places or [Path.cwd()])[0])), flags)
    if len({repr(read_tool_table(file)) for file in found}) > 1:
        names = " and ".join(_shown(file) for file in list(found)[:2])
        raise errors.ConfigError(
            f"the targets belong to differently configured projects ({names})",
            fix="run convlint once for each, or name one with --config",
        )
    return _merge(next(iter(found.values())), flags)


def project_root(place: Path) -> Path:
    """Return the folder of the nearest pyproject.toml above, else of the nearest .git.

    Where there is neither it is the place's own folder.
    """
    nearest = _nearest(place)
    if nearest is not None:
        return nearest.parent
    absolute = place.resolve()
    own = absolute if absolute.is_dir() else absolute.parent
    return next((folder for folder in (own, *own.parents) if (folder / ".git").exists()), own)


def read_tool_table(file: Path) -> dict[str, Any] | None:
    """Return ``[tool.convlint]`` of a TOML file, None where it has none."""
    tool = table.read_toml(file, _shown(file)).get("tool", {})
    found = tool.get("convlint") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise errors.ConfigError("tool.convlint is no table", where=_shown(file))
    return found


def _nearest(place: Path) -> Path | None:
    absolute = place.resolve()
    above = (absolute, *absolute.parents) if absolute.is_dir() else absolute.parents
    return next((f for p in above if (f := p / "pyproject.toml").is_file()), None)


def _shown(file: Path) -> str:
    relative = os.path.relpath(file)
    return str(file) if relative.startswith("..") else Path(relative).as_posix()


def _from_file(file: Path, *, required: bool = False) -> Settings:
    shown = _shown(file)
    if required and not file.is_file():
        raise errors.ConfigError("no such file", where=f"--config {shown}")
    values = read_tool_table(file)
    if values is None and required:
        fix = "write the settings under [tool.convlint]"
        raise errors.ConfigError("has no table [tool.convlint]", where=shown, fix=fix)
    return _settings(values or {}, f"{shown}: tool.convlint", file.resolve().parent, shown)


def _settings(values: dict[str, Any], where: str, root: Path, shown: str) -> Settings:
    wanted = values.get("required-version")
    if isinstance(wanted, str):  # first of all: a newer version may know other keys
        version.require(wanted, __version__, f"{where}.required-version")
    table.check_keys(values, where)
    read: dict[str, Callable[[object, str], object]] = {
        **dict.fromkeys(table.LISTS, table.strings),
        "fail-level": lambda value, here: table.choice(FailLevel, value, here),
        "profile": lambda value, here: table.profile(value, here, root),
        "rules": table.rule_tables,
        "models": lambda value, here: table.model_entries(value, here, root),
        "overrides": table.overrides,
        "baseline": lambda value, here: table.inside(table.convert(value, str, here), root, here),
        "required-version": lambda value, here: table.convert(value, str, here),
        "ram": limits.parse_bytes,
        "runtime": lambda value, here: table.convert(value, str, here),
    }
    fields: dict[str, Any] = {
        key.replace("-", "_"): read[key](value, f"{where}.{key}") for key, value in values.items()
    }
    return Settings(root=root, sources=dict.fromkeys(values, shown), **fields)


def _merge(settings: Settings, flags: Flags) -> Settings:
    """Return the settings with the flags over them.

    ``--select`` starts anew: what the file selects and ignores no longer counts.
    ``--extend-select`` and ``--ignore`` add to what is there.
    """
    changes: dict[str, Any] = {}
    sources = dict(settings.sources)
    base = settings
    if flags.select is not None:
        base = dataclasses.replace(base, select=flags.select, extend_select=(), ignore=())
        sources = {k: v for k, v in sources.items() if k not in ("extend-select", "ignore")}
        sources["select"] = "--select"
    for key, more in (("extend_select", flags.extend_select), ("ignore", flags.ignore)):
        if more is not None:
            name = key.replace("_", "-")
            changes[key] = (*getattr(base, key), *more)
            old = sources.get(name)
            sources[name] = f"{old} and --{name}" if old else f"--{name}"
    target = None if flags.profile is None else profiles.load(flags.profile)
    ram = None if flags.ram is None else limits.parse_bytes(flags.ram, "--ram")
    given = (("fail_level", flags.fail_level), ("profile", target), ("ram", ram))
    for key, value in (*given, ("runtime", flags.runtime)):
        if value is not None:
            changes[key] = value
            sources[key.replace("_", "-")] = f"--{key.replace('_', '-')}"
    merged = dataclasses.replace(base, **changes, sources=sources)
    profile = msgspec.structs.replace(merged.profile, ram=merged.ram)
    return dataclasses.replace(merged, profile=profile)

"""The settings of an environment, merged from files and variables, checked, and traceable to file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.documents import KeyPath, load_document, read_scalar, resolve_secrets, reveal
from pratique.errors import ConfigurationError

if TYPE_CHECKING:
    from pratique.specs.base import Where
    from pratique.specs.settings import SettingsSpec

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_PREFIX: Final = "PRATIQUE__"
_DOTENV_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
_MISSING: Final = object()
_FREE: Final = frozenset({"connections", "alerts", "retry", "service"})  # secrets stay hidden in these


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One consistent state of the configuration."""

    value: dict[str, Any]
    places: dict[KeyPath, str]
    settings: SettingsSpec


class ConfigManager:
    """Settings of one environment: default.yaml, then ENVIRONMENT.yaml, then `PRATIQUE__A__B` variables, merged.

    Checked when made and at every `reload`: a mistake raises ConfigurationError with its place. `environment` is
    `PRATIQUE_ENV` if not given, else `dev`. `root` is the nearest folder upwards that has `config/`, else the current
    one; without any configuration all defaults hold. Texts with `${NAME}` or `${file:PATH}` become `Secret`.
    """

    def __init__(self, environment: str | None = None, root: str | Path | None = None) -> None:
        self.root = Path(root).resolve() if root is not None else _find_root(Path.cwd())
        chosen = environment or self._variables().get("PRATIQUE_ENV", ("", ""))[0]
        self.environment = chosen or "dev"
        self._chosen = bool(chosen)
        self._loaded = self._load()

    @property
    def settings(self) -> SettingsSpec:
        """All settings, typed, with their defaults."""
        return self._loaded.settings

    def _variables(self) -> dict[str, tuple[str, str]]:
        """The variables of the process over those of the file `.env`, each with its place."""
        process = {name: (text, f"environment variable {name}") for name, text in os.environ.items()}
        return {**_read_dotenv(self.root / ".env"), **process}

    def get(self, key: str, default: Any = None) -> Any:
        """The value at a dotted key such as `logging.level`: as configured, else `default`, else built in."""
        value = _walk(self._loaded.value, key)
        if value is _MISSING:
            value = default if default is not None else _walk(self.settings.model_dump(), key)
        return None if value is _MISSING else value

    def reload(self) -> None:
        """Read everything again. If it is wrong now, ConfigurationError is raised and the old state stays in force."""
        self._loaded = self._load()

    def origin(self, key: str) -> str:
        """Where the value at a dotted key comes from: `file:line`, the name of a variable, or `built-in default`."""
        place = self._loaded.places.get(tuple(key.split(".")))
        if place is None:
            return "built-in default"
        return place.rpartition(":")[0] if re.search(r":[0-9]+:[0-9]+$", place) else place

    def where(self, path: KeyPath) -> str:
        """`file:line:column` of the value at `path`, or of its nearest parent; `config` if nothing is written."""
        return _nearest_place(self._loaded.places, path)

    def connection(self, name: str, where: str) -> dict[str, Any]:
        """The connection of this name; ConfigurationError at `where`, listing the known ones, if there is none."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        if name not in self.settings.connections:
            raise ConfigurationError(
                f'there is no connection "{name}" in environment {self.environment}',
                where=where,
                hint=nearest(name, self.settings.connections, "known connections"),
            )
        return self.settings.connections[name]

    def __repr__(self) -> str:
        return f"ConfigManager(environment={self.environment!r}, root={str(self.root)!r})"

    def _load(self) -> _Loaded:
        from pratique.specs.base import parse, refuse  # noqa: PLC0415 - pydantic costs 0.1 s, `--help` does without
        from pratique.specs.settings import SettingsSpec  # noqa: PLC0415

        layers = _Layers()
        for path in self._files():
            document = load_document(path)
            if not isinstance(document.value, dict | None):
                raise ConfigurationError("expected settings: keys and values", where=document.where())
            layers.add(document.value or {}, document.place)
        variables = self._variables()
        layers.add_variables(variables)
        environ = {name: text for name, (text, _) in variables.items()}
        value = resolve_secrets(layers.value, environ, root=self.root, where=layers.where)
        typed = {key: item if key in _FREE else reveal(item) for key, item in value.items()}
        settings, mistakes = parse(SettingsSpec, typed, layers.where, shown=value)
        refuse(mistakes)
        assert settings is not None  # noqa: S101 - `refuse` raised otherwise
        return _Loaded(value, layers.places, settings)

    def _files(self) -> list[Path]:
        """The files that make up this environment, weakest first."""
        folder = self.root / "config"
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES:
                if path.stem in found:
                    message = f"{found[path.stem].name} and {path.name} both configure {path.stem}"
                    raise ConfigurationError(message, where=str(folder), hint="keep one of them")
                found[path.stem] = path
        known = sorted(found.keys() - {"default"})
        if self._chosen and known and self.environment not in known:
            raise ConfigurationError(
                f'there is no environment "{self.environment}"',
                where=str(folder),
                hint=f"known environments: {', '.join(known)}; make config/{self.environment}.yaml for a new one",
            )
        return [found[name] for name in ("default", self.environment) if name in found]


def _everywhere(place: str) -> Where:
    return lambda path, key=False: place  # noqa: ARG005 - one place for every value


def _find_root(start: Path) -> Path:
    """The nearest folder upwards that holds `config/`, else `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / "config").is_dir()), start)


def _walk(value: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _nearest_place(places: Mapping[KeyPath, str], path: KeyPath) -> str:
    while path and path not in places:
        path = path[:-1]
    return places.get(path, "config")


class _Layers:
    """Configuration from the weakest layer to the strongest, and where each value of the result stands."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.places: dict[KeyPath, str] = {}
        self.keys: dict[KeyPath, str] = {}

    def where(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        """`file:line:column` of the value at `path`, of its nearest parent or of its key; else `config`."""
        return self.keys[path] if key and path in self.keys else _nearest_place(self.places, path)

    def add(self, layer: Mapping[str, Any], where: Where) -> None:
        """Put a layer over what is there: mappings are merged, everything else is replaced."""
        self._merge(self.value, layer, where, ())

    def add_variables(self, variables: Mapping[str, tuple[str, str]]) -> None:
        """`PRATIQUE__A__B=text` sets `a.b` to what the text means as a plain scalar."""
        for name, (text, place) in sorted(variables.items()):
            if not name.startswith(_PREFIX):
                continue
            parts = name.removeprefix(_PREFIX).lower().split("__")
            if not all(parts):
                hint = f"two underscores stand between names: {_PREFIX}LOGGING__LEVEL"
                raise ConfigurationError("this variable names no key", where=place, hint=hint)
            layer: Any = read_scalar(text)
            for part in reversed(parts):
                layer = {part: layer}
            self.add(layer, _everywhere(place))

    def _merge(self, target: dict[str, Any], layer: Mapping[str, Any], where: Where, path: KeyPath) -> None:
        self.places[path] = where(path)
        for key, value in layer.items():
            inner = (*path, key)
            self.keys[inner] = where(inner, True)
            if isinstance(value, dict):
                if not isinstance(target.get(key), dict):
                    target[key] = {}
                self._merge(target[key], value, where, inner)
                continue
            target[key] = value
            self.places = {place: text for place, text in self.places.items() if place[: len(inner)] != inner}
            self.places[inner] = where(inner)
            for index in range(len(value) if isinstance(value, list) else 0):
                self.places[*inner, index] = where((*inner, index))


def _read_dotenv(path: Path) -> dict[str, tuple[str, str]]:
    """Variables of a `.env` file with their places: `KEY=value` lines, `export`, quotes, comments, no expansion."""
    found: dict[str, tuple[str, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return found
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the file cannot be read as UTF-8 text", where=str(path), hint="check its rights"
        ) from error
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = f"{path.name}:{number}:1"
        match = _DOTENV_LINE.fullmatch(text)
        if match is None:
            raise ConfigurationError("expected a line NAME=value", where=place, hint="begin comments with #")
        quoted = _QUOTED.fullmatch(match[2])
        found[match[1]] = (quoted[2] if quoted else match[2].partition(" #")[0].strip(), place)
    return found

"""The settings of an environment, merged from files and variables, checked, and traceable to file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.documents import KeyPath, folder_of, load_document, read_scalar, shown_path
from pratique.mistakes import Mistake, Mistakes, refuse
from pratique.secrets import Secret, remembered, resolve_secrets, reveal

if TYPE_CHECKING:
    from pratique.specs.base import Where
    from pratique.specs.settings import SettingsSpec

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_PREFIX: Final = "PRATIQUE__"
_DOTENV_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
_MISSING: Final = object()
_UNSERVED: Final = ("retry", "service")
_SECRET_NAME: Final = re.compile(r"api_key|.*(auth|token|key|secret|password|cookie).*", re.IGNORECASE)
_FREE: Final = frozenset({"connections", "alerts", *_UNSERVED})  # secrets stay hidden in these


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One consistent state of the configuration."""

    value: dict[str, Any]
    layers: _Layers  # the same as written, and where
    settings: SettingsSpec
    connections_sound: bool
    environ: Mapping[str, str]


class ConfigManager:
    """Settings of one environment: default.yaml, then ENVIRONMENT.yaml, then `PRATIQUE__A__B` variables, merged.

    Checked when made and at every `reload`: a mistake raises ConfigurationError with its place. `environment` is
    `PRATIQUE_ENV` if not given, else `dev`. `root` is the nearest folder upwards that has `config/`, else the current
    one; without any configuration all defaults hold. Texts with `${NAME}` or `${file:PATH}` become `Secret`. With
    `found` mistakes are put there (a secret that is not set as a warning), and what is right holds.
    """

    def __init__(
        self, environment: str | None = None, root: str | Path | None = None, found: Mistakes | None = None
    ) -> None:
        self.root = Path(root).resolve() if root is not None else find_root(Path.cwd())
        chosen = environment or self._variables(Mistakes()).get("PRATIQUE_ENV", ("", ""))[0]
        self.environment = chosen or "dev"
        self._chosen = bool(chosen)
        self._linted = found
        self._loaded = self._load(found)

    @property
    def settings(self) -> SettingsSpec:
        """All settings, typed, with their defaults."""
        return self._loaded.settings

    @property
    def written(self) -> Mapping[str, Any]:
        """What is written, all layers merged, with references to secrets as they stand in the files."""
        return self._loaded.layers.value

    @property
    def connections_sound(self) -> bool:
        """False if connections may be missing only because what is written is wrong."""
        return self._loaded.connections_sound

    def _variables(self, found: Mistakes) -> dict[str, tuple[str, str]]:
        """The variables of the process over those of the file `.env`, each with its place."""
        process = {name: (text, f"environment variable {name}") for name, text in os.environ.items()}
        return {**_read_dotenv(self.root / ".env", found), **process}

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
        place = self._loaded.layers.places.get(tuple(key.split(".")))
        if place is None:
            return "built-in default"
        return place.rpartition(":")[0] if re.search(r":[0-9]+:[0-9]+$", place) else place

    def where(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        """`file:line:column` of the value at `path` (or of its key), or of its nearest parent, else `config`."""
        return self._loaded.layers.where(path, key)

    def connection(self, name: str, where: str) -> dict[str, Any]:
        """The connection of this name; ConfigurationError at `where`, listing the known ones, if there is none."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        if name not in self.settings.connections:
            message = f'there is no connection "{name}" in environment {self.environment}'
            hint = nearest(name, self.settings.connections, "known connections")
            refuse([Mistake(where, message, hint, "unknown-name")])
        return self.settings.connections[name]

    def resolved(self, value: Any, where: Callable[[KeyPath], str]) -> Any:
        """`value` with its references to secrets resolved; ConfigurationError for one that is not there.

        Where settings are linted it need not be there: that is a warning.
        """
        found = Mistakes()
        resolved = resolve_secrets(value, self._loaded.environ, root=self.root, where=where, found=found)
        if self._linted is None:
            found.refuse()
        else:
            self._linted.add(_warned(found))
        return resolved

    def __repr__(self) -> str:
        return f"ConfigManager(environment={self.environment!r}, root={str(self.root)!r})"

    def _load(self, found: Mistakes | None = None) -> _Loaded:
        from pratique.specs.base import parse  # noqa: PLC0415 - pydantic costs 0.1 s, `--help` does without
        from pratique.specs.settings import SettingsSpec  # noqa: PLC0415

        mistakes, secrets = Mistakes(), Mistakes()
        layers = _Layers()
        with mistakes.caught():
            for path in self._files(mistakes):
                with mistakes.caught():
                    document = load_document(path, mistakes)
                    if not isinstance(document.value, dict | None):
                        message, hint = "expected settings: keys and values", "such as connections: {…}"
                        refuse([Mistake(document.where(), message, hint, "type")])
                    layers.add(document.value or {}, document.place)
        readable = not mistakes.errors
        variables = self._variables(mistakes)
        layers.add_variables(variables, mistakes)
        environ = {name: text for name, (text, _) in variables.items()}
        value = resolve_secrets(layers.value, environ, root=self.root, where=layers.where, found=secrets)
        mistakes.add(secrets if found is None else _warned(secrets))
        typed = {key: item if key in _FREE else reveal(item) for key, item in value.items()}
        parsed = parse(SettingsSpec, typed, layers.where, shown=value)
        mistakes.add(parsed.mistakes)
        mistakes.add(
            Mistake(layers.where((key,), True), f"{key} is not served yet", "it does nothing", "not-served", "warning")
            for key in _UNSERVED
            if layers.value.get(key)
        )
        mistakes.add(_plain_secrets(value, layers))
        if found is None:
            mistakes.refuse()
        else:
            found.add(mistakes)
        unsound = parsed.spec is None or any(len(path) == 1 or path[0] == "connections" for path in parsed.wrong)
        return _Loaded(value, layers, parsed.spec or SettingsSpec(), not unsound and readable, environ)

    def _files(self, found: Mistakes) -> list[Path]:
        """The files that make up this environment, weakest first."""
        known = config_files(self.root, found)
        names = sorted(known.keys() - {"default"})
        if self._chosen and names and self.environment not in names:
            message = f'there is no environment "{self.environment}"'
            hint = f"known environments: {', '.join(names)}; make config/{self.environment}.yaml for a new one"
            found.add([Mistake(str(self.root / "config"), message, hint, "unknown-name")])
        return [known[name] for name in ("default", self.environment) if name in known]


def _warned(secrets: Mistakes) -> list[Mistake]:
    """Secrets that are not set, as what they are where nothing is run: a warning."""
    return [replace(mistake, level="warning") if mistake.code == "secret" else mistake for mistake in secrets]


def config_files(root: Path, found: Mistakes) -> dict[str, Path]:
    """The files of a project's configuration by the environment that they hold, and `default`."""
    folder = root / "config"
    files: dict[str, Path] = {}
    for path in folder_of(folder):
        if path.suffix in _SUFFIXES:
            if path.stem in files:
                message = f"{files[path.stem].name} and {path.name} both configure {path.stem}"
                found.add([Mistake(f"{shown_path(path)}:1:1", message, "keep one of them", "duplicate")])
                continue
            files[path.stem] = path
    return files


def _plain_secrets(value: Mapping[str, Any], layers: _Layers) -> Iterator[Mistake]:
    """Secrets of those who are told that stand in a file as they are; from a variable they are taken, and hidden."""
    for path in (("monitoring", "openlineage"), ("monitoring", "opentelemetry", "headers")):
        entries = _walk(value, ".".join(path))
        for name, text in entries.items() if isinstance(entries, Mapping) else ():
            if not _SECRET_NAME.fullmatch(name) or not isinstance(text, str):
                continue
            place = layers.where((*path, name))
            if place.startswith(("environment variable ", ".env:")):
                remembered(text)
            else:
                hint = f"write {name}: ${{NAME}}, and set NAME in the environment, or ${{file:PATH}}"
                yield Mistake(place, f"{'.'.join(path)}.{name}: a secret stands here in plain text", hint, "value")


def _everywhere(place: str) -> Where:
    return lambda path, key=False: place  # noqa: ARG005 - one place for every value


def find_root(start: Path) -> Path:
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

    def add_variables(self, variables: Mapping[str, tuple[str, str]], found: Mistakes) -> None:
        """`PRATIQUE__A__B=text` sets `a.b` to what the text means as a plain scalar."""
        for name, (text, place) in sorted(variables.items()):
            if not name.startswith(_PREFIX):
                continue
            parts = name.removeprefix(_PREFIX).lower().split("__")
            if not all(parts):
                hint = f"two underscores stand between names: {_PREFIX}LOGGING__LEVEL"
                found.add([Mistake(place, "this variable names no key", hint, "unknown-name")])
                continue
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


def write_dotenv(root: Path, name: str, value: Secret) -> None:
    """Write the file `.env` of a project, which its owner alone can read, with this variable in it.

    FileExistsError if there is one.
    """
    handle = os.open(root / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        text = value.reveal()
        mark = "'" if '"' in text else '"'
        file.write(f"{name}={mark}{text}{mark}\n")


def _read_dotenv(path: Path, found: Mistakes) -> dict[str, tuple[str, str]]:
    """Variables of a `.env` file with their places: `KEY=value` lines, `export`, quotes, comments, no expansion."""
    variables: dict[str, tuple[str, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return variables
    except (OSError, UnicodeDecodeError):
        message, hint = "the file cannot be read as UTF-8 text", "check its rights"
        found.add([Mistake(str(path), message, hint, "unreadable")])
        return variables
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = f"{path.name}:{number}:1"
        match = _DOTENV_LINE.fullmatch(text)
        if match is None:
            found.add([Mistake(place, "expected a line NAME=value", "begin comments with #", "syntax")])
            continue
        quoted = _QUOTED.fullmatch(match[2])
        variables[match[1]] = (quoted[2] if quoted else match[2].partition(" #")[0].strip(), place)
    return variables

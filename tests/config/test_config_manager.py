"""ConfigManager: merging order, origins, secrets, reload."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError
from pratique.secrets import Secret


def test_without_any_file_all_defaults_hold(folder) -> None:
    """A bare folder is a valid configuration: the built-in defaults."""
    config = ConfigManager()
    assert config.environment == "dev"
    assert config.root == folder.root
    assert config.get("logging.level") == "INFO"
    assert config.get("logging.level", "ERROR") == "ERROR"
    assert config.get("no.such.key") is None
    assert config.get("no.such.key", 3) == 3
    assert config.settings.limits.memory == "600MB"
    assert config.settings.limits.threads >= 1
    assert config.origin("logging.level") == "built-in default"


def test_environment_goes_over_default_and_variables_over_both(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """default.yaml <- dev.json <- .env <- variables, merged key by key; origin tells which one won."""
    folder.write({
        "config/default.yaml": (
            "logging: {level: WARNING}\nlimits:\n  memory: 1GB\n  columns_max: 5\nstate: {path: s}\nconnections: {a: {url: x}}\n"
        ),
        "config/dev.json": '{"limits": {"columns_max": 6}, "connections": {"b": {"url": "y"}}}',
        ".env": "PRATIQUE__STATE__PATH='from env file'\nPRATIQUE__LIMITS__THREADS=2\n",
    })  # fmt: skip
    monkeypatch.setenv("PRATIQUE__LOGGING__LEVEL", "DEBUG")
    monkeypatch.setenv("PRATIQUE__LIMITS__THREADS", "3")
    config = ConfigManager("dev")
    assert config.get("limits") == {"memory": "1GB", "columns_max": 6, "threads": 3}
    assert sorted(config.get("connections")) == ["a", "b"]
    assert config.settings.logging.level == "DEBUG"
    assert config.settings.state.path == "from env file"
    assert config.origin("limits.memory") == "config/default.yaml:3"
    assert config.origin("limits.columns_max") == "config/dev.json:1"
    assert config.origin("logging.level") == "environment variable PRATIQUE__LOGGING__LEVEL"
    assert config.origin("state.path") == ".env:1"


def test_the_environment_comes_from_a_variable_if_it_is_not_given(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """PRATIQUE_ENV chooses the environment; the argument goes over it."""
    folder.write({"config/prod.yaml": "logging: {level: WARNING}\n", "config/dev.yaml": "logging: {level: DEBUG}\n"})
    monkeypatch.setenv("PRATIQUE_ENV", "prod")
    assert ConfigManager().get("logging.level") == "WARNING"
    assert ConfigManager(environment="dev").get("logging.level") == "DEBUG"


def test_the_root_is_the_nearest_folder_upwards_with_config(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command started in a folder below finds its project."""
    folder.write({"config/default.yaml": "", "a/b/c.txt": ""})
    monkeypatch.chdir(folder.root / "a" / "b")
    assert ConfigManager().root == folder.root


def test_an_unknown_environment_names_the_known_ones(folder) -> None:
    """A chosen environment without a file is an error as soon as others have one."""
    folder.write({"config/default.yaml": "", "config/dev.yaml": "", "config/prod.yaml": ""})
    with pytest.raises(ConfigurationError, match='no environment "prd"') as caught:
        ConfigManager("prd")
    assert "dev, prod" in caught.value.hint


def test_secrets_come_from_the_environment_and_env_file_and_never_print(
    folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`get` gives a Secret, repr of manager and settings hide it, and the process goes over .env."""
    folder.write({
        "config/default.yaml": "connections:\n  a: {url: 'pg://${USER_A}:${PW_A}@h', key: '${file:k}'}\n",
        ".env": '# secrets\nexport PW_A="hunter2" # mine\nUSER_A=weak\n\n',
        "k": "keytext\n",
    })  # fmt: skip
    monkeypatch.setenv("USER_A", "strong")
    config = ConfigManager()
    assert config.get("connections.a.url") == Secret("pg://strong:hunter2@h")
    assert config.get("connections.a.key").reveal() == "keytext"
    printed = f"{config!r} {config.settings!r} {config.get('connections')}"
    assert "hunter2" not in printed
    assert "keytext" not in printed


def test_a_missing_secret_names_variable_and_place(folder) -> None:
    """The start stops with the name of the variable and where it is used."""
    folder.write({"config/default.yaml": "connections:\n  a:\n    password: ${PRATIQUE_TEST_UNSET}\n"})
    with pytest.raises(ConfigurationError, match="PRATIQUE_TEST_UNSET is not set") as caught:
        ConfigManager()
    assert caught.value.where == "config/default.yaml:3:15"


def test_a_wrong_secret_is_not_shown_in_the_message(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a value that came from a secret is told without the value."""
    folder.write({"config/default.yaml": "logging: {level: '${LEVEL_X}'}\n"})
    monkeypatch.setenv("LEVEL_X", "hunter2")
    with pytest.raises(ConfigurationError, match=r"\*\*\*") as caught:
        ConfigManager()
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.facts}"
    folder.write({"config/default.yaml": "state: {path: '${STATE_X}'}\n"})
    monkeypatch.setenv("STATE_X", "hunter2-state")
    assert str(ConfigManager().settings.state.path) == "hunter2-state"


def test_reload_takes_over_a_good_configuration_and_keeps_the_old_one_against_a_bad_one(folder) -> None:
    """After a failed reload everything reads as before."""
    folder.write({"config/default.yaml": "logging: {level: ERROR}\n"})
    config = ConfigManager()
    folder.write({"config/default.yaml": "logging: {level: LOUD}\n"})
    with pytest.raises(ConfigurationError, match="LOUD"):
        config.reload()
    assert config.get("logging.level") == "ERROR"
    assert config.settings.logging.level == "ERROR"
    folder.write({"config/default.yaml": "logging: {level: DEBUG}\n"})
    config.reload()
    assert config.get("logging.level") == "DEBUG"


@pytest.mark.parametrize(
    ("files", "where", "message", "hint"),
    [
        ({"config/default.yaml": "loging: {level: INFO}\n"}, "config/default.yaml:1:1", 'unknown key "loging"', '"logging"'),
        ({"config/default.yaml": "logging: {levl: INFO}\n"}, "config/default.yaml:1:11", 'unknown key "levl" in logging', '"level"'),
        ({"config/default.yaml": "logging: {level: debug}\n"}, "config/default.yaml:1:18", "logging.level", '"DEBUG"'),
        ({"config/default.yaml": "limits: {memory: lots}\n"}, "config/default.yaml:1:18", "limits.memory", ""),
        ({"config/default.yaml": "limits: {threads: 0}\n"}, "config/default.yaml:1:19", "limits.threads", ""),
        ({"config/default.yaml": "limits: {threads: 2.5}\n"}, "config/default.yaml:1:19", "a whole number, found 2.5", ""),
        ({"config/default.yaml": "quarantine: {max_share: 10}\n"}, "config/default.yaml:1:25", "expected a share", ""),
        ({"config/default.yaml": "connections: {warehouse: x.duckdb}\n"}, "config/default.yaml:1:26", "mapping", ""),
        ({"config/default.yaml": "connections: {Ware House: {}}\n"}, "config/default.yaml:1:15", "is not a name", "small letters"),
        ({"config/default.yaml": "- a\n"}, "config/default.yaml:1:1", "expected settings", ""),
        ({"config/default.yaml": "", "config/default.json": "{}"}, "config/default.yaml:1:1", "both configure default", "keep one"),
        ({".env": "A=1\nnonsense\n"}, ".env:2:1", "NAME=value", "#"),
        ({".env": "PRATIQUE____X=1\n"}, ".env:1:1", "names no key", "PRATIQUE__LOGGING__LEVEL"),
        ({".env": "PRATIQUE__LOGING__LEVEL=INFO\n"}, ".env:1:1", "loging", "logging"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_stops_the_start(folder, files, where: str, message: str, hint: str) -> None:
    """Every mistake is told with its place, what is wrong, and what was probably meant."""
    folder.write(files)
    with pytest.raises(ConfigurationError) as caught:
        ConfigManager()
    assert caught.value.where.removeprefix(f"{folder.root}/") == where
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_all_mistakes_of_a_file_are_told_at_once(folder) -> None:
    """The first mistake is the message, the others stand in the facts, in the order of the file."""
    folder.write({"config/default.yaml": "limits:\n  threads: many\n  memoy: 1GB\nlogging: loud\n"})
    with pytest.raises(ConfigurationError, match="threads") as caught:
        ConfigManager()
    assert [item["where"] for item in caught.value.facts["more"]] == [
        "config/default.yaml:3:3",
        "config/default.yaml:4:10",
    ]


def test_importing_the_manager_loads_neither_pydantic_nor_yaml() -> None:
    """`--help` has a budget: heavy libraries are imported when a configuration is read, not before."""
    code = "import pratique.config_manager, pratique.project, sys; print([m for m in ('pydantic', 'yaml', 'duckdb', 'pyarrow') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert found.stdout.strip() == "[]"

"""``${NAME}`` in the settings of a retraining: what comes from the environment is secret.

Such a text is used as any other. Where it is shown, it is what the file has: by `repr`, by
`mr_ml.retraining.sections.RetrainConfig.to_json`, and in messages, which `hide` goes through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# "$${" is how a text has "${" in it
_USE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
# A shorter one cannot be told from what is there by chance, nor kept from who can count.
_LEAST = 4


class FromEnvironment(str):
    """A text with values of the environment in it.

    Attributes
    ----------
    written
        As the file has it.
    values
        Those of the environment that are in it, by name.
    """

    written: str
    values: Mapping[str, str]

    def __new__(cls, text: str, written: str = "", values: Mapping[str, str] | None = None) -> FromEnvironment:
        """Make one."""
        made = super().__new__(cls, text)
        made.written, made.values = written, dict(values or {})
        return made

    def __repr__(self) -> str:
        """Show what the file has."""
        return repr(self.written)


def substituted(written: str, environment: Mapping[str, str]) -> str:
    """Return a text of the file with the values of the variables that it names.

    Raises
    ------
    ValueError
        If it names none, or one that is not set or empty.
    """
    used: dict[str, str] = {}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "${"
        if not (found[0].endswith("}") and _NAME.fullmatch(name)):
            raise ValueError(
                f"expected ${{NAME}} of an environment variable, found {found[0]!a}; $${{ means a plain ${{"
            )
        if not environment.get(name):
            state = "an empty one" if name in environment else "none"
            raise ValueError(
                f"expected an environment variable {name}, found {state}; set it where the command runs, as in the "
                "crontab or the service"
            )
        used[name] = environment[name]
        return used[name]

    text = _USE.sub(value, written)
    return FromEnvironment(text, written, used) if used else text


def hide(text: str, secrets: Iterable[FromEnvironment]) -> str:
    """Return a text in which no value of the environment is left that `secrets` have.

    Also found are the parts of a URL that requests' messages have without the rest, and the spelling in which URLs
    have it. What is shorter than four characters is left.
    """
    shown: dict[str, str] = {}
    for secret in secrets:
        for name, value in secret.values.items():
            for part in (value, *_parts(value)):
                shown[part] = shown[quote(part, safe="/?&=:@")] = shown[quote(part, safe="")] = f"${{{name}}}"
    found = sorted((value for value in shown if len(value) >= _LEAST), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, found)), lambda match: shown[match[0]], text) if found else text


def _parts(value: str) -> list[str]:
    try:
        url = urlsplit(value)
    except ValueError:
        return []
    if not url.netloc:
        return []
    path = f"{url.path}?{url.query}" if url.query else url.path
    return [part for part in (path, url.path, url.query, url.password or "") if part]

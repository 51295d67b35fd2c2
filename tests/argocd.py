"""Argo CD's way with scripts: a Lua 5.1 that has lost its libraries, and what becomes of an object that passes through.

After util/lua/lua.go of Argo CD: scripts of argocd-cm have the base library, `table`, `package` and an `os` that tells
the time; nothing of `string`, `math`, `io`. What a script returns passes through JSON, where an empty table is an empty
list; a list that was a map before is taken for an accident and put back.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from lupa.lua51 import LuaRuntime

from checks.argocd import SCRIPTS
from tandem.api.meta import Json

# What Lua opens by itself and Argo CD does not; `python` is lupa's own.
_CLOSED: Final = ("coroutine", "debug", "io", "math", "os", "python", "string")


def script(kind: str, name: str) -> str:
    """``health``, ``actions/discovery``, ``actions/NAME/action``."""
    return (Path(SCRIPTS) / kind / f"{name}.lua").read_text()


def run(text: str, obj: Json) -> Any:
    """What the script returns for this object, as JSON."""
    lua = LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    # Without its library a string has no methods either: ("x"):find() is an error.
    lua.execute('getmetatable("").__index = nil')
    told = lua.table_from({"date": _date, "time": lambda: int(time.time())})
    loaded = lua.globals().package.loaded
    for name in _CLOSED:
        lua.globals()[name] = loaded[name] = None
    lua.globals().os = loaded.os = told
    lua.globals().obj = _to_lua(lua, obj)
    return _to_json(lua.execute(text))


def health(body: Json) -> Json:
    """``status`` (Healthy, Progressing, Degraded, Suspended) and ``message``."""
    found: Json = run(script(body["kind"], "health"), body)
    return found


def offered(body: Json) -> dict[str, bool]:
    """Action → whether its button can be pressed."""
    return {
        name: not said.get("disabled", False)
        for name, said in run(script(body["kind"], "actions/discovery"), body).items()
    }


def act(body: Json, action: str) -> Json:
    """The object as the action leaves it; Argo CD sends the difference as a merge patch."""
    made: Json = _cleaned(run(script(body["kind"], f"actions/{action}/action"), body), body)
    return made


def merge_patch(before: Json, after: Json) -> Json:
    """RFC 7396: what turns one into the other."""
    patch: Json = {name: None for name in before if name not in after}
    for name, value in after.items():
        was = before.get(name)
        if isinstance(was, dict) and isinstance(value, dict):
            inner = merge_patch(was, value)
            patch |= {name: inner} if inner else {}
        elif was != value:
            patch[name] = value
    return patch


def _date(form: str) -> str:
    return time.strftime(form.removeprefix("!"), time.gmtime())


def _to_lua(lua: LuaRuntime, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({name: _to_lua(lua, one) for name, one in value.items() if one is not None})
    if isinstance(value, list):
        return lua.table_from([_to_lua(lua, one) for one in value])
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _to_json(value: Any) -> Any:
    if not hasattr(value, "items"):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    pairs = {key: _to_json(one) for key, one in value.items()}
    names = [key for key in pairs if isinstance(key, str)]
    return pairs if names else list(pairs.values())


def _cleaned(new: Any, old: Any) -> Any:
    """Argo CD's cleanReturnedObj."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {name: _cleaned(value, old[name]) if name in old else value for name, value in new.items()}
    if isinstance(new, list) and isinstance(old, dict):
        return new or old
    if isinstance(new, list) and isinstance(old, list):
        return [_cleaned(value, old[at]) if at < len(old) else value for at, value in enumerate(new)]
    return new

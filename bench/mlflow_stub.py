"""A stand-in for MLflow: the REST calls that starting a run takes, answered at once and from memory, and counted.

MLflow itself is not what is measured: every figure would be one of its database.
``python -m bench.mlflow_stub`` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tandem.api.names import TAG_RESOURCE_UID, TAG_RUN

Json = dict[str, Any]
API = "/api/2.0/mlflow/"
ASKED = "/asked"  # how often each call was made until now
_WANTED = re.compile(r"tags\.`([^`]+)` = '([^']*)'")


class Mlflow:
    def __init__(self) -> None:
        self._experiments: dict[str, str] = {}
        self._runs: defaultdict[str, list[Json]] = defaultdict(list)  # by experiment
        self._asked: Counter[str] = Counter()
        self._calls: dict[str, Callable[[Json], Json | None]] = {
            "experiments/get-by-name": self._experiment,
            "experiments/create": self._create_experiment,
            "runs/search": self._search,
            "runs/create": self._create_run,
            "runs/log-batch": lambda _: {},
        }

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == ASKED:
            return web.json_response(self._asked)
        name = request.path.removeprefix(API)
        self._asked[name] += 1
        call = self._calls.get(name)
        if call is None:
            return web.json_response({"error_code": "ENDPOINT_NOT_FOUND", "message": request.path}, status=404)
        answer = call(await request.json() if request.method == "POST" else dict(request.query))
        if answer is None:
            return web.json_response({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}, status=404)
        return web.json_response(answer)

    def _experiment(self, asked: Json) -> Json | None:
        name = asked["experiment_name"]
        if name not in self._experiments:
            return None
        experiment = {"experiment_id": self._experiments[name], "name": name, "lifecycle_stage": "active"}
        return {"experiment": experiment}

    def _create_experiment(self, asked: Json) -> Json:
        id_ = self._experiments.setdefault(asked["name"], str(len(self._experiments) + 1))
        return {"experiment_id": id_}

    def _search(self, asked: Json) -> Json:
        wanted = dict(_WANTED.findall(asked["filter"]))
        assert wanted.keys() <= {TAG_RESOURCE_UID, TAG_RUN}, asked["filter"]
        runs = [run for id_ in asked["experiment_ids"] for run in self._runs[id_]]
        return {"runs": [run for run in runs if wanted.items() <= _tags(run).items()]}

    def _create_run(self, asked: Json) -> Json:
        runs = self._runs[asked["experiment_id"]]
        info = {
            "run_id": f"{int(asked['experiment_id']):016x}{len(runs):016x}",
            "experiment_id": asked["experiment_id"],
            "status": "RUNNING",
            "start_time": asked["start_time"],
            "lifecycle_stage": "active",
        }
        runs.append({"info": info, "data": {"metrics": [], "params": [], "tags": asked["tags"]}})
        return {"run": runs[-1]}


def _tags(run: Json) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


async def serve() -> None:
    runner = web.ServerRunner(web.Server(Mlflow().answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps(runner.addresses[0][1]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())

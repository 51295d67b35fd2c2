"""The world around the model: a garden that publishes its labelled flowers, and asks the served model about new ones.

    python garden.py publish                 the data set that the TrainingJob reads
    python garden.py visit --windows 4       ask about 200 new flowers per window, and file answers and truth
    python garden.py visit --windows 4 --grown    … after a summer in which all petals grew by 30 %
    python garden.py publish --grown         a new version of the data set, of grown flowers
    python garden.py ask                     about one flower: the answer and its headers, as JSON

`publish` and `visit` store files behind MLflow's artifact proxy (--tracking-uri), `visit` asks the model server
(--model-url). The gardener knows every flower's species, so each answer is filed with its label: that is what
monitor.py reads. One window is one minute of the garden's time; the garden does not wait for it to pass.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flowers import COLUMNS, GROWN, Flowers, sample

DATA_SET = "datasets/iris/iris.csv"
WINDOWS = "datasets/iris/windows"
FLOWERS_TO_LEARN_FROM = 600
FLOWERS_PER_WINDOW = 200
# During a canary rollout each request may be answered by another version: small requests, so that both are heard.
FLOWERS_PER_REQUEST = 10
SECONDS = 30


@dataclass(frozen=True)
class Artifacts:
    """Files behind MLflow's artifact proxy, by path."""

    tracking_uri: str

    @property
    def _root(self) -> str:
        return f"{self.tracking_uri.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"

    def put(self, path: str, text: str) -> None:
        _request("PUT", f"{self._root}/{path}", text.encode(), "text/plain")

    def names(self, folder: str) -> list[str]:
        answer, _ = _request("GET", f"{self._root}?path={folder}")
        return [file["path"] for file in json.loads(answer).get("files", [])]


def publish(artifacts: Artifacts, flowers: Flowers) -> None:
    artifacts.put(DATA_SET, flowers.csv())
    print(f"published {DATA_SET}: {len(flowers)} flowers")


def ask(model_url: str, flowers: Flowers) -> Iterator[dict[str, str]]:
    """One record per flower: which version of which model said what, and what the flower really was."""
    for start in range(0, len(flowers), FLOWERS_PER_REQUEST):
        part = slice(start, start + FLOWERS_PER_REQUEST)
        predictions, headers = predict(model_url, flowers.measurements[part])
        who = {"model": headers["x-model-name"], "version": headers["x-model-version"]}
        for said, truth in zip(predictions, flowers.species[part], strict=True):
            yield {**who, "prediction": said, "label": truth}


def predict(model_url: str, measurements: list[list[float]]) -> tuple[list[str], dict[str, str]]:
    """The species that the model sees, and the headers of its answer."""
    question = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": measurements}}).encode()
    answer, headers = _request("POST", f"{model_url.rstrip('/')}/invocations", question, "application/json")
    return json.loads(answer)["predictions"], headers


def visit(artifacts: Artifacts, model_url: str, windows: int, seed: int, growth: float, now: float) -> None:
    """Fill windows one after the other; the last one is the current minute, unless the garden's time is ahead."""
    filed = [int(name.split(".")[0]) for name in artifacts.names(WINDOWS)]
    first = max([int(now // 60) - windows + 1, *(window + 1 for window in filed)])
    for window in range(first, first + windows):
        # The window is part of the seed: the same garden, but never the same flowers twice.
        records = list(ask(model_url, sample(FLOWERS_PER_WINDOW, seed + window, growth)))
        artifacts.put(f"{WINDOWS}/{window}.jsonl", "".join(json.dumps(record) + "\n" for record in records))
        right = sum(record["prediction"] == record["label"] for record in records)
        versions = Counter(f"{record['model']} v{record['version']}" for record in records)
        print(f"window {window}: {right} of {len(records)} right, answered by {', '.join(versions)}", flush=True)


def _request(method: str, url: str, body: bytes | None = None, content_type: str = "") -> tuple[bytes, dict[str, str]]:
    """The body and the headers (names in lower case) of the answer."""
    headers = {"Content-Type": content_type} if body is not None else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.read(), {name.lower(): value for name, value in response.headers.items()}
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {url}: {error.code} {error.reason}: {error.read()[:300].decode()}") from None
    except OSError as error:
        raise SystemExit(f"{method} {url}: {error}; is it reachable from here (kubectl port-forward)?") from None


def main(arguments: list[str] | None = None, clock: Callable[[], float] = time.time) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["publish", "visit", "ask"])
    parser.add_argument("--grown", action="store_true", help=f"petals {GROWN:.0%} of their usual size")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"))
    parser.add_argument("--model-url", default=os.environ.get("MODEL_URL", "http://127.0.0.1:8080"))
    given = parser.parse_args(arguments)
    artifacts = Artifacts(given.tracking_uri)
    growth = GROWN if given.grown else 1.0
    if given.action == "publish":
        publish(artifacts, sample(FLOWERS_TO_LEARN_FROM, given.seed, growth))
    elif given.action == "ask":
        predictions, headers = predict(given.model_url, sample(1, given.seed, growth).measurements)
        print(json.dumps({"predictions": predictions, "headers": headers}))
    else:
        visit(artifacts, given.model_url, given.windows, given.seed, growth, clock())


if __name__ == "__main__":
    main()

"""What MLflow has of the data before anything trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris

from tests.contract.runtime.conftest import ROOT, HttpServer, free_port, pod_environment, run_script
from tests.contract.runtime.data.pod import IRIS, MORE, Pod, digest, folder_digest
from tests.contract.runtime.stores import Bucket


def test_the_run_has_the_data_as_an_input_and_the_manifest_as_an_artifact(
    pod: Pod, bucket: Bucket, mlflow_server: str
) -> None:
    client = MlflowClient(mlflow_server)
    run_id = client.create_run(client.create_experiment("ml/data")).info.run_id
    env = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": run_id}

    for _ in range(2):  # a second attempt of the same run records the same
        done = pod.run("s3://acme-data/iris/", env, secret=pod.secret(bucket.secret))
        assert (done.code, done.err) == (0, "")

    run = client.get_run(run_id)
    assert run.inputs is not None
    [logged] = run.inputs.dataset_inputs
    whole = folder_digest({"iris.csv": IRIS, "2026/more.csv": MORE})
    assert (logged.dataset.name, logged.dataset.digest) == ("iris", whole[7:39])
    assert json.loads(logged.dataset.source) == {"uri": "s3://acme-data/iris/"}
    assert json.loads(logged.dataset.profile or "") == {
        "digest": whole,
        "bytes": len(IRIS + MORE),
        "files": 2,
        "rows": 3,
    }
    assert {"tandem.dev/digest": whole, "mlflow.data.context": "training"} == {t.key: t.value for t in logged.tags}
    assert run.data.tags["tandem.dev/data.iris"] == whole
    manifest = json.loads(Path(client.download_artifacts(run_id, "tandem/data/iris/manifest.json")).read_text())
    assert {file["path"]: (file["size"], file["sha256"]) for file in manifest["files"]} == {
        path: (len(body), digest(body)[7:]) for path, body in {"iris.csv": IRIS, "2026/more.csv": MORE}.items()
    }


@pytest.mark.slow
def test_the_script_of_the_s3_example_trains_on_what_was_fetched(pod: Pod, bucket: Bucket, mlflow_server: str) -> None:
    flowers = load_iris(as_frame=True)
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in flowers.feature_names]
    frame = flowers.data.set_axis(names, axis=1).assign(species=flowers.target_names[flowers.target])
    bucket.put({"flowers/a.csv": frame[:75].to_csv(index=False).encode()})
    bucket.put({"flowers/more/b.csv": frame[75:].to_csv(index=False).encode()})
    assert pod.fetch("s3://acme-data/flowers/", secret=pod.secret(bucket.secret)).code == 0
    folder = pod.folder / "workspace" / "data" / "iris"
    client = MlflowClient(mlflow_server)
    run_id = client.create_run(client.create_experiment("ml/iris-s3")).info.run_id
    script = pod.folder / "step.py"
    script.write_text(f"import pathlib, train_folder\ntrain_folder.main(pathlib.Path({str(folder)!r}))\n")
    example = f"{ROOT / 'examples' / 'iris-s3'}:{ROOT / 'operator'}"
    env = {"PYTHONPATH": example, "MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": run_id}

    done = run_script(script, cwd=pod.folder, env={**pod_environment(pod.folder), **env})

    assert done.code == 0, done.err
    assert client.get_run(run_id).data.metrics["accuracy"] >= 0.9


def test_a_failure_keeps_its_exit_code_while_mlflow_is_being_imported(pod: Pod, mlflow_server: str) -> None:
    env = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": "0" * 32}
    done = pod.run("file:///etc/hostname", env, digest=digest(b"other"))
    assert done.code == 3
    assert "the data changed since it was pinned" in done.message


def test_a_run_that_mlflow_does_not_take_the_record_of_does_not_train(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv?sig=hunter2"] = (200, IRIS)
    env = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "MLFLOW_RUN_ID": "0" * 32,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    done = pod.run(f"{http.url}/iris.csv?sig=hunter2", env)
    assert done.code == 9
    assert "MLflow did not take the record of the run's data" in done.message
    assert "hunter2" not in done.out + done.err


def test_of_several_nodes_the_first_one_keeps_the_record(pod: Pod, http: HttpServer) -> None:
    http.files["/iris.csv"] = (200, IRIS)
    nobody = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}", "MLFLOW_RUN_ID": "0" * 32}
    done = pod.run(f"{http.url}/iris.csv", {**nobody, "JOB_COMPLETION_INDEX": "1"})
    assert (done.code, "data: iris sha256:" in done.out) == (0, True), done.out + done.err

"""Train a classifier of iris flowers, epoch by epoch, from where the last attempt left off.

Plain MLflow and scikit-learn. What it has learned after each epoch is kept in TANDEM_CHECKPOINT_DIR, if there is one:
a pod that is evicted, fails, or is suspended costs the epoch that it was at, and no more.
"""

import os
import pickle
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

SEED = 7


def flowers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    iris = load_iris()
    train, test, species, expected = train_test_split(
        iris.data, iris.target, test_size=0.3, stratify=iris.target, random_state=SEED
    )
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test), species, expected


def resumed(folder: Path) -> tuple[SGDClassifier, int]:
    """What was learned before, and after how many epochs; a model that knows nothing where there is nothing."""
    kept = folder / "model.pkl"
    if kept.exists():
        with kept.open("rb") as file:
            model, epochs = pickle.load(file)
        return model, int(epochs)
    return SGDClassifier(loss="log_loss", random_state=SEED), 0


def keep(folder: Path, model: SGDClassifier, epochs: int) -> None:
    """Under another name until it is whole: half a file would be all that the next attempt finds."""
    partial = folder / "model.pkl.partial"
    partial.write_bytes(pickle.dumps((model, epochs)))
    partial.replace(folder / "model.pkl")


def main() -> None:
    import mlflow

    folder = Path(os.environ.get("TANDEM_CHECKPOINT_DIR", "."))
    epochs = int(os.environ.get("EPOCHS", "20"))
    train, test, species, expected = flowers()
    model, done = resumed(folder)
    with mlflow.start_run():
        for epoch in range(done, epochs):
            model.partial_fit(train, species, classes=np.unique(species))
            keep(folder, model, epoch + 1)
            # Each counts as progress: spec.progressDeadlineSeconds ends a run that logs nothing any more.
            mlflow.log_metric("accuracy", accuracy_score(expected, model.predict(test)), step=epoch + 1)
            mlflow.log_metric("progress", 100 * (epoch + 1) / epochs)
        # Once more, also if an earlier attempt has taken every epoch: what that one logged does not count for this one.
        mlflow.log_metric("accuracy", accuracy_score(expected, model.predict(test)), step=epochs)
        mlflow.sklearn.log_model(model, name="model", input_example=test[:3])
    print(f"epochs {done} to {epochs}")


if __name__ == "__main__":
    main()

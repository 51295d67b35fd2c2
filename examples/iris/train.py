"""Train a classifier of iris flowers.

Plain MLflow and scikit-learn, as on any laptop: `python train.py`. Under a Tandem TrainingJob the same file joins the
MLflow run that the operator made (MLFLOW_RUN_ID), and finds its data set under /workspace/data.
"""

import os
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

DATA = Path(os.environ.get("IRIS_CSV", "/workspace/data/iris/iris.csv"))
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
MAX_ITER = 200
TEST_SHARE = 0.3
SEED = 7


def flowers() -> pd.DataFrame:
    """The fetched data set; the one that comes with scikit-learn where there is none."""
    if DATA.exists():
        return pd.read_csv(DATA)
    iris = load_iris()
    table = pd.DataFrame(iris.data, columns=COLUMNS)
    table["species"] = iris.target_names[iris.target]
    return table


def main() -> None:
    table = flowers()
    train, test = train_test_split(table, test_size=TEST_SHARE, stratify=table["species"], random_state=SEED)
    with mlflow.start_run():
        mlflow.log_params({"max_iter": MAX_ITER, "test_share": TEST_SHARE, "seed": SEED})
        model = LogisticRegression(max_iter=MAX_ITER).fit(train[COLUMNS], train["species"])
        predicted = model.predict(test[COLUMNS])
        accuracy = accuracy_score(test["species"], predicted)
        mlflow.log_metric("accuracy", accuracy)
        mlflow.log_metric("f1_macro", f1_score(test["species"], predicted, average="macro"))
        mlflow.log_metric("test_rows", len(test))
        mlflow.sklearn.log_model(model, name="model", input_example=test[COLUMNS].head(3))
    print(f"accuracy {accuracy:.3f} on {len(test)} flowers that the model has not seen ({len(train)} to learn from)")


if __name__ == "__main__":
    main()

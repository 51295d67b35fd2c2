"""Train a classifier of iris flowers, and measure it beside the one that serves: plain MLflow and scikit-learn."""

import os

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split

SEED = 7
CHAMPION = "models:/iris-gate@champion"


def flowers() -> tuple[pd.DataFrame, pd.Series]:
    iris = load_iris(as_frame=True)
    return iris.data, pd.Series(iris.target_names[iris.target], name="species")


def champion() -> PyFuncModel | None:
    """The model that serves; None while there is none."""
    try:
        model: PyFuncModel = mlflow.pyfunc.load_model(CHAMPION)
        return model
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def main() -> None:
    measures, species = flowers()
    seen, unseen, known, asked = train_test_split(measures, species, test_size=0.5, stratify=species, random_state=SEED)
    with mlflow.start_run():
        model = LogisticRegression(C=float(os.environ.get("C", "1.0")), max_iter=500).fit(seen, known)
        answers = model.predict(unseen)
        mlflow.log_metric("accuracy", accuracy_score(asked, answers))
        mlflow.log_metric("test_rows", len(unseen))
        for name, recall in zip(model.classes_, recall_score(asked, answers, average=None), strict=True):
            mlflow.log_metric(f"recall/species:{name}", recall)
        serving = champion()
        if serving is not None:
            mlflow.log_metric("champion_accuracy", accuracy_score(asked, serving.predict(unseen)))
        mlflow.sklearn.log_model(model, name="model", input_example=unseen.head(3))


if __name__ == "__main__":
    main()

"""Logistic regression on the flowers of all files in the data set's folder: plain MLflow, nothing of Tandem."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


def main(folder: Path = Path("/workspace/data/iris")) -> None:
    flowers = pd.concat([pd.read_csv(file) for file in sorted(folder.rglob("*.csv"))], ignore_index=True)
    measures, species = flowers.drop(columns="species"), flowers["species"]
    seen, unseen, known, asked = train_test_split(measures, species, test_size=0.3, random_state=0, stratify=species)
    with mlflow.start_run():
        model = LogisticRegression(max_iter=500).fit(seen, known)
        mlflow.log_metric("accuracy", float(model.score(unseen, asked)))
        mlflow.sklearn.log_model(model, name="model", input_example=seen.head(2))


if __name__ == "__main__":
    main()

"""Flowers with known species: as they grow today, or after a summer in which all petals grew.

Each species is a normal distribution with the means and covariances of the iris data set, so every flower is a new
one. Growth scales the petals: a versicolor then measures what a virginica used to, and a model that learnt the old
flowers is wrong about the new ones. Everything is determined by the seed.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_iris

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
PETALS = [COLUMNS.index("petal_length"), COLUMNS.index("petal_width")]
# Petals 30 % longer and wider.
GROWN = 1.3


@dataclass(frozen=True)
class Flowers:
    """``measurements`` in cm, one row of the four COLUMNS per flower; ``species`` their true names."""

    measurements: list[list[float]]
    species: list[str]

    def __len__(self) -> int:
        return len(self.species)

    def csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*COLUMNS, "species"])
        writer.writerows([*row, species] for row, species in zip(self.measurements, self.species, strict=True))
        return text.getvalue()


def sample(count: int, seed: int, growth: float = 1.0) -> Flowers:
    """``count`` flowers, species at random, petals ``growth`` times their usual size."""
    iris = load_iris()
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(iris.target_names), count)
    rows = []
    for kind in kinds:
        known = iris.data[iris.target == kind]
        flower = random.multivariate_normal(known.mean(axis=0), np.cov(known.T), method="cholesky")
        flower[PETALS] *= growth
        # A ruler shows millimetres, and no petal is shorter than one.
        rows.append([max(0.1, round(float(size), 1)) for size in flower])
    return Flowers(rows, [str(iris.target_names[kind]) for kind in kinds])

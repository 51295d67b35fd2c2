"""TrainingJob: data + code → Job → MLflow run → gate → registered version → alias.

Start reading at :mod:`tandem.training.plan`.
"""

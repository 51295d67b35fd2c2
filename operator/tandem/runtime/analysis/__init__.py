"""Judgement of a revision: measure, count, and say Successful, Failed or Inconclusive (docs/design/rollouts.md).

providers (prometheus, web, mlflow, pods) → reading → verdict → report
"""

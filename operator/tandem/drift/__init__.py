"""The model-drift controller's half: detectors, brakes and the plan. Pure; stands on ``tandem.api`` alone.

Drift asks for a candidate. It never registers a version and never moves an alias: the gate and the rollout decide.
"""

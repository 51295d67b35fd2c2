"""AppDeployment: from an image or a model version to a revision, and from a revision to the traffic.

``plan.plan`` is the whole controller: a pure function. What it may know and say is in :mod:`tandem.api`.
"""

"""What runs inside pods, never in the operator: the fetch step of a training pod, and the model server.

It stands on ``tandem.api.names`` alone, so that the runtime image needs nothing of the operator's libraries.
"""

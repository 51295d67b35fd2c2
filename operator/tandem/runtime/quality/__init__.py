"""Data quality: what a data set has to hold before anything is trained on it (TFX's ExampleValidator, with teeth).

tables → rules (pandera) and statistics, batch by batch → findings → verdict.
"""

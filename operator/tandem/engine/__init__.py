"""The engine: watch, remember, queue, plan, carry out. It knows no kind of Tandem's; ``main`` introduces them.

::

    handlers (kopf) ─► store ─► queue ─► reconcile:  observe → plan → carry out ─► cluster, outside
         resync ──────────┘       ▲                                   │
         facts (sources) ─────────┴───────────────────────────────────┘
"""

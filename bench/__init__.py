"""How fast Tandem is, and what it costs: ``python -m bench`` (or ``make bench``).

Everything runs against a real API server (:mod:`cluster.control_plane`) and is a ratio to a bare client that makes the
same writes in the same run: the seconds themselves say more about the machine than about the operator. The clock is
the API server's audit log, one for all, and it counts every request exactly.
"""

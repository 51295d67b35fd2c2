"""Rollouts on real pods, under a client that never stops asking; see docs/reliability.md."""

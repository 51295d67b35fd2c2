"""The backend for Linux machines without Docker: every part is real, and lives in namespaces of its own."""

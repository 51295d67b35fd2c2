"""Configuration by its content: two ConfigMaps that hold the same are the same, whatever they are called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def digest_of_data(data: Mapping[str, str], binary_data: Mapping[str, str]) -> str:
    """16 hexadecimal digits; ``binary_data`` as the API server gives it, in base64."""
    canonical = json.dumps([dict(data), dict(binary_data)], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()[:16]

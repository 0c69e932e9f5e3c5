"""What a page shows, as text that is a few bytes for each note.

Every array is compressed and written in base64, names as well: nothing that a melody is called can
end an element of the page, or begin one.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {
    np.dtype("u1"): "Uint8Array",
    np.dtype("i1"): "Int8Array",
    np.dtype("<u2"): "Uint16Array",
    np.dtype("<i4"): "Int32Array",
    np.dtype("<f4"): "Float32Array",
}
"""What a browser reads them as."""


def packed(values: Mapping[str, NDArray[Any] | Any]) -> str:
    """A JSON object with a type and packed bytes for each value; ``data.js`` reads it.

    Args:
        values: Flat arrays of the types in ``_TYPES``; anything else goes as JSON.
    """
    return json.dumps({name: _packed(value) for name, value in values.items()})


def _packed(value: NDArray[Any] | Any) -> dict[str, str]:
    if isinstance(value, np.ndarray):
        kind, data = _TYPES[value.dtype], value.tobytes()
    else:
        kind, data = "json", json.dumps(value, allow_nan=False).encode()
    return {"type": kind, "data": base64.b64encode(zlib.compress(data, 9)).decode()}

"""Tags and digests as fields of pydantic's models: apart, so that reading names loads none."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from rocm_images.references import DIGEST, TAG

Digest = Annotated[str, StringConstraints(pattern=f"^{DIGEST}$")]
Tag = Annotated[str, StringConstraints(pattern=f"^{TAG}$")]

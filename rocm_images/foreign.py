"""What others wrote, read and shown by the same rules as in the images (image_facts.foreign)."""

from __future__ import annotations

import rocm_images.places  # noqa: F401  (it says where the images' packages are)
from image_facts.foreign import content_of, document_of, parsed, shown, shown_line

__all__ = ["content_of", "document_of", "parsed", "shown", "shown_line"]

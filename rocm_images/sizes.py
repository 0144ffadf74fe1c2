"""How large an image is, in the two numbers that are told of it everywhere.

Compressed is what a registry keeps and a node pulls, unpacked what it then takes on the disk. A
node with containerd's image store keeps both; `docker images` shows their sum there.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocm_images.tables import bytes_in_words


@dataclass(frozen=True)
class Sizes:
    """Bytes; None where it is not known."""

    compressed: int | None = None
    unpacked: int | None = None

    @property
    def words(self) -> tuple[str, str]:
        """Both for a table with a column for each."""
        return bytes_in_words(self.compressed), bytes_in_words(self.unpacked)

    def __str__(self) -> str:
        known = {"compressed": self.compressed, "unpacked": self.unpacked}
        return ", ".join(
            f"{name} not known" if size is None else f"{bytes_in_words(size)} {name}"
            for name, size in known.items()
        )


NOT_KNOWN = Sizes()

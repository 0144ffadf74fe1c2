"""A stand-in for torch: only its version can be imported."""

from torch import version as version
from torch.version import __version__ as __version__

"""The names of made_up_registry.py and misbehaviours.py for those that still look for them here."""

from made_up_registry import GOOD as GOOD
from made_up_registry import Image as Image
from made_up_registry import digest as digest
from misbehaviours import IMAGES as IMAGES

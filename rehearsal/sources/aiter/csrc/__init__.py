"""Part of the stand-in for AITER: the sources that it compiles at run time."""

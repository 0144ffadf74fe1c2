"""Part of the stand-in for AITER: where prebuilt kernels lie."""

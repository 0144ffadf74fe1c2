"""A tree of 40 kernels that is built as AITER is: the stand-in source of what compiling costs."""

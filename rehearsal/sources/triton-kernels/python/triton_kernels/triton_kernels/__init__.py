"""A stand-in for the triton_kernels of Triton's tree, which vLLM copies into its wheel."""

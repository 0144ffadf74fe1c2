// A stand-in for a kernel of flash-attention: it names the GPU that it was compiled for, and carries a bundle
// of code objects where a HIP compiler puts it.
extern "C" const char *flash_attention_target() { return STAND_IN_TARGET; }

asm(".pushsection .hip_fatbin,\"a\",@progbits\n"
    ".p2align 12\n"
    ".incbin \"" STAND_IN_BUNDLE "\"\n"
    ".popsection\n");

#pragma once
// CRYORED_AVX2_CLONE before a function: it is compiled for processors with and without AVX2, and the loader picks one.
// Neither has fused multiply-add, so both round alike. Sanitizer builds run before the resolvers may be called, so they
// get the baseline.

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CRYORED_AVX2_CLONE __attribute__((target_clones("default", "avx2")))
#else
#define CRYORED_AVX2_CLONE
#endif

#pragma once
// Code for several instruction sets of x86, chosen at run time.
//
// CRYORED_CLONES("default", "avx2") before a function: it is compiled for each, and the loader picks one. Neither of
// these two has fused multiply-add, so both round alike; "avx512f" has. Sanitizer builds run before the resolvers may
// be called, so they get the baseline.
//
// CRYORED_F16C is defined where a program can ask whether the processor converts half floats, which clang 14 cannot.

#if defined(__x86_64__) && !defined(__clang__)
#define CRYORED_F16C
#endif

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CRYORED_CLONES(...) __attribute__((target_clones(__VA_ARGS__)))
#else
#define CRYORED_CLONES(...)
#endif

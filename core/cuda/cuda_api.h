#ifndef CRYORED_CORE_CUDA_CUDA_API_H
#define CRYORED_CORE_CUDA_CUDA_API_H
/* Plain C interface of libcryored_cuda.so, which is loaded at run time where a GPU is to be used, so that
   programs start on machines without CUDA. Every function returns a CryoredCudaStatus; on failure `message`
   (message_size bytes) holds CUDA's own words. Pointers are host memory, owned by the caller. */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRYORED_CUDA_ABI 2

enum CryoredCudaStatus {
  CRYORED_CUDA_OK = 0,
  CRYORED_CUDA_NO_DEVICE = 1,    /* no GPU, or not that many */
  CRYORED_CUDA_DRIVER = 2,       /* driver missing, too old or failing */
  CRYORED_CUDA_MEMORY = 3,       /* not enough GPU memory */
  CRYORED_CUDA_ARCHITECTURE = 4, /* no code in this library for the GPU's architecture */
  CRYORED_CUDA_FAILURE = 5,      /* the device failed; the process may never get over it */
  CRYORED_CUDA_COMPUTATION = 6   /* this computation failed; the device answers */
};

/* One column of the half ball, see core/reconstruct/pipeline.hpp: kz = -reach .. reach from `offset` on. */
typedef struct {
  int kx, ky, reach;
  size_t offset;
} CryoredCudaColumn;

typedef struct {
  int radius, dimensionality; /* R; 2 or 3 */
  size_t column_count, size;  /* columns and coefficients of the ball */
  const CryoredCudaColumn* columns;
} CryoredCudaBall;

/* CRYORED_CUDA_ABI of the library. */
int cryored_cuda_abi(void);

/* Is GPU `device` there and able to run this library's code? */
int cryored_cuda_probe(int device, char* message, size_t message_size);

/* Gridding rounds (core/reconstruct/gridding.hpp) in double precision: weights W and result n, one per
   coefficient; beta by squared distance, beta_count entries, 0 beyond. */
int cryored_cuda_gridding(int device, const CryoredCudaBall* ball, const double* weights, const double* beta,
                          int beta_count, int rounds, float* n, char* message, size_t message_size);

/* V (re, im per coefficient) times `scale` and (-1)^(kx + ky + kz), inverse transform on the padded box (even),
   crop of `box` voxels at padded / 2: map of box^3 (2D: box^2) floats. */
int cryored_cuda_inverse(int device, const CryoredCudaBall* ball, const float* spectrum, int padded, int box,
                         float scale, float* map, char* message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif

// Included once per instruction set, inside a namespace of its own; no library code here, so
// that nothing compiled for a newer machine leaks into the rest of the program.

template <typename Real, int L>
struct Lanes {
  typedef Real type __attribute__((vector_size(sizeof(Real) * L), aligned(sizeof(Real) * L), may_alias));
};
template <typename Real, int L>
using Vec = typename Lanes<Real, L>::type;

template <typename Real, int L>
inline __attribute__((always_inline)) Vec<Real, L>& at(Real* p) {
  return *reinterpret_cast<Vec<Real, L>*>(p);
}
template <typename Real, int L>
inline __attribute__((always_inline)) Vec<Real, L> at(const Real* p) {
  return *reinterpret_cast<const Vec<Real, L>*>(p);
}

/// y_j = sum_k x_k exp(-2 pi i j k / r) for r of 2 .. 5, then the twiddle; `im` is the offset of the
/// imaginary lanes, L or, for the inverse transform, the real ones' place (re and im swapped).
template <typename Real, int L, int Radix>
inline __attribute__((always_inline)) void small_stage(const Stage<Real>& stage, const Real* in, Real* out, int re,
                                                       int im) {
  using V = Vec<Real, L>;
  const long m = stage.m, s = stage.s, step = 2 * L;
  for (long p = 0; p < m; ++p) {
    const Real* w = stage.twiddles + p * (Radix - 1) * 2;
    for (long q = 0; q < s; ++q) {
      V xr[Radix], xi[Radix], yr[Radix], yi[Radix];
      for (int k = 0; k < Radix; ++k) {
        const Real* x = in + (q + s * (p + m * k)) * step;
        xr[k] = at<Real, L>(x + re);
        xi[k] = at<Real, L>(x + im);
      }
      if constexpr (Radix == 2) {
        yr[0] = xr[0] + xr[1], yi[0] = xi[0] + xi[1];
        yr[1] = xr[0] - xr[1], yi[1] = xi[0] - xi[1];
      } else if constexpr (Radix == 3) {
        const Real c = Real(-0.5), t = Real(0.86602540378443864676);
        const V er = xr[1] + xr[2], ei = xi[1] + xi[2], dr = (xr[1] - xr[2]) * t, di = (xi[1] - xi[2]) * t;
        const V ar = xr[0] + c * er, ai = xi[0] + c * ei;
        yr[0] = xr[0] + er, yi[0] = xi[0] + ei;
        yr[1] = ar + di, yi[1] = ai - dr;
        yr[2] = ar - di, yi[2] = ai + dr;
      } else if constexpr (Radix == 4) {
        const V ar = xr[0] + xr[2], ai = xi[0] + xi[2], br = xr[0] - xr[2], bi = xi[0] - xi[2];
        const V cr = xr[1] + xr[3], ci = xi[1] + xi[3], dr = xr[1] - xr[3], di = xi[1] - xi[3];
        yr[0] = ar + cr, yi[0] = ai + ci;
        yr[1] = br + di, yi[1] = bi - dr;
        yr[2] = ar - cr, yi[2] = ai - ci;
        yr[3] = br - di, yi[3] = bi + dr;
      } else {
        const Real c1 = Real(0.30901699437494742410), c2 = Real(-0.80901699437494742410);
        const Real s1 = Real(0.95105651629515357212), s2 = Real(0.58778525229247312917);
        const V e1r = xr[1] + xr[4], e1i = xi[1] + xi[4], d1r = xr[1] - xr[4], d1i = xi[1] - xi[4];
        const V e2r = xr[2] + xr[3], e2i = xi[2] + xi[3], d2r = xr[2] - xr[3], d2i = xi[2] - xi[3];
        const V a1r = xr[0] + c1 * e1r + c2 * e2r, a1i = xi[0] + c1 * e1i + c2 * e2i;
        const V a2r = xr[0] + c2 * e1r + c1 * e2r, a2i = xi[0] + c2 * e1i + c1 * e2i;
        const V b1r = s1 * d1r + s2 * d2r, b1i = s1 * d1i + s2 * d2i;
        const V b2r = s2 * d1r - s1 * d2r, b2i = s2 * d1i - s1 * d2i;
        yr[0] = xr[0] + e1r + e2r, yi[0] = xi[0] + e1i + e2i;
        yr[1] = a1r + b1i, yi[1] = a1i - b1r;
        yr[4] = a1r - b1i, yi[4] = a1i + b1r;
        yr[2] = a2r + b2i, yi[2] = a2i - b2r;
        yr[3] = a2r - b2i, yi[3] = a2i + b2r;
      }
      Real* y = out + (q + s * Radix * p) * step;
      at<Real, L>(y + re) = yr[0];
      at<Real, L>(y + im) = yi[0];
      for (int j = 1; j < Radix; ++j) {
        const Real wr = w[2 * j - 2], wi = w[2 * j - 1];
        at<Real, L>(y + s * j * step + re) = yr[j] * wr - yi[j] * wi;
        at<Real, L>(y + s * j * step + im) = yr[j] * wi + yi[j] * wr;
      }
    }
  }
}

/// Any odd radix: with e_k = x_k + x_{r-k} and o_k = x_k - x_{r-k},
/// y_j = x_0 + sum e_k cos(2 pi j k / r) - i sum o_k sin(2 pi j k / r), and y_{r-j} with + i.
template <typename Real, int L>
inline __attribute__((always_inline)) void prime_stage(const Stage<Real>& stage, const Real* in, Real* out, Real* work,
                                                       int re, int im) {
  using V = Vec<Real, L>;
  constexpr int B = 6;
  const long r = stage.radix, m = stage.m, s = stage.s, h = (r - 1) / 2, step = 2 * L;
  Real* even = work;
  Real* odd = work + h * step;
  for (long p = 0; p < m; ++p) {
    const Real* w = stage.twiddles + p * (r - 1) * 2;
    for (long q = 0; q < s; ++q) {
      const Real* x = in + (q + s * p) * step;
      const V x0r = at<Real, L>(x + re), x0i = at<Real, L>(x + im);
      V sumr = x0r, sumi = x0i;
      for (long k = 1; k <= h; ++k) {
        const Real* a = x + s * m * k * step;
        const Real* b = x + s * m * (r - k) * step;
        const V ar = at<Real, L>(a + re), ai = at<Real, L>(a + im), br = at<Real, L>(b + re), bi = at<Real, L>(b + im);
        at<Real, L>(even + (k - 1) * step) = ar + br;
        at<Real, L>(even + (k - 1) * step + L) = ai + bi;
        at<Real, L>(odd + (k - 1) * step) = ar - br;
        at<Real, L>(odd + (k - 1) * step + L) = ai - bi;
        sumr += ar + br;
        sumi += ai + bi;
      }
      Real* y = out + (q + s * r * p) * step;
      at<Real, L>(y + re) = sumr;
      at<Real, L>(y + im) = sumi;
      for (long j0 = 0; j0 < h; j0 += B) {
        V cr[B], ci[B], sr[B], si[B];
        for (int b = 0; b < B; ++b) cr[b] = x0r, ci[b] = x0i, sr[b] = x0r - x0r, si[b] = x0i - x0i;
        const Real* c = stage.cosines + j0 * h;
        for (long k = 0; k < h; ++k, c += B) {
          const V er = at<Real, L>(even + k * step), ei = at<Real, L>(even + k * step + L);
          for (int b = 0; b < B; ++b) cr[b] += c[b] * er, ci[b] += c[b] * ei;
        }
        const Real* t = stage.sines + j0 * h;
        for (long k = 0; k < h; ++k, t += B) {
          const V dr = at<Real, L>(odd + k * step), di = at<Real, L>(odd + k * step + L);
          for (int b = 0; b < B; ++b) sr[b] += t[b] * dr, si[b] += t[b] * di;
        }
        for (int b = 0; b < B; ++b) {
          const long j = j0 + b + 1;
          if (j > h) break;
          const V ur = cr[b] + si[b], ui = ci[b] - sr[b], vr = cr[b] - si[b], vi = ci[b] + sr[b];
          const Real* wu = w + 2 * (j - 1);
          const Real* wv = w + 2 * (r - j - 1);
          at<Real, L>(y + s * j * step + re) = ur * wu[0] - ui * wu[1];
          at<Real, L>(y + s * j * step + im) = ur * wu[1] + ui * wu[0];
          at<Real, L>(y + s * (r - j) * step + re) = vr * wv[0] - vi * wv[1];
          at<Real, L>(y + s * (r - j) * step + im) = vr * wv[1] + vi * wv[0];
        }
      }
    }
  }
}

/// Unnormalised transform of `lanes` sequences; a holds the input, b and work are overwritten.
/// Returns a or b, whichever holds the result.
template <typename Real, int L>
__attribute__((noinline)) Real* transform(const PlanView<Real>& plan, Real* a, Real* b, Real* work, bool inverse) {
  const int re = inverse ? L : 0, im = inverse ? 0 : L;
  for (int i = 0; i < plan.stage_count; ++i) {
    const Stage<Real>& stage = plan.stages[i];
    switch (stage.radix) {
      case 2:
        small_stage<Real, L, 2>(stage, a, b, re, im);
        break;
      case 3:
        small_stage<Real, L, 3>(stage, a, b, re, im);
        break;
      case 4:
        small_stage<Real, L, 4>(stage, a, b, re, im);
        break;
      case 5:
        small_stage<Real, L, 5>(stage, a, b, re, im);
        break;
      default:
        prime_stage<Real, L>(stage, a, b, work, re, im);
    }
    Real* other = a;
    a = b;
    b = other;
  }
  return a;
}

// Included once per instruction set after batch_fft.inl; see gridding_kernels.hpp.

template <typename Real>
struct IndexOf;
template <>
struct IndexOf<float> {
  using type = int;
};
template <>
struct IndexOf<double> {
  using type = long long;
};

/// Transposes L vectors of L lanes in registers: at each step, swap the off-diagonal halves.
template <typename Real, int L>
inline __attribute__((always_inline)) void transpose(Vec<Real, L> (&rows)[L]) {
  using Index = typename IndexOf<Real>::type;
  typedef Index Mask __attribute__((vector_size(sizeof(Index) * L)));
#pragma GCC unroll 8
  for (int h = 1; h < L; h *= 2) {
    Mask low, high;
#pragma GCC unroll 16
    for (int e = 0; e < L; ++e) {
      low[e] = (e & h) ? L + (e - h) : e;
      high[e] = (e & h) ? L + e : e + h;
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) {
      if (i & h) continue;
      const Vec<Real, L> a = rows[i], b = rows[i + h];
      rows[i] = __builtin_shuffle(a, b, low);
      rows[i + h] = __builtin_shuffle(a, b, high);
    }
  }
}

template <typename Real, int L>
inline __attribute__((always_inline)) void zero_elements(Real* data, int from, int to) {
  const Vec<Real, L> zero = {};
  for (long i = 2L * from; i < 2L * to; ++i) at<Real, L>(data + i * L) = zero;
}

/// Splits the transform of two real sequences packed as one complex one, element i and its
/// opposite o: A = (X(i) + conj X(o)) / 2, B = (X(i) - conj X(o)) / 2i.
template <typename Real, int L>
struct Pair {
  Vec<Real, L> ar, ai, br, bi;
};
template <typename Real, int L>
inline __attribute__((always_inline)) Pair<Real, L> unpack(const Real* i, const Real* o) {
  const Real half = Real(0.5);
  const Vec<Real, L> xr = at<Real, L>(i), xi = at<Real, L>(i + L), yr = at<Real, L>(o), yi = at<Real, L>(o + L);
  return {(xr + yr) * half, (xi - yi) * half, (xi + yi) * half, (yr - xr) * half};
}
/// The opposite of unpack: X(i) = A + iB, X(o) = conj A + i conj B.
template <typename Real, int L>
inline __attribute__((always_inline)) void pack(Real* i, Real* o, Pair<Real, L> p) {
  at<Real, L>(i) = p.ar - p.bi;
  at<Real, L>(i + L) = p.ai + p.br;
  at<Real, L>(o) = p.ar + p.bi;
  at<Real, L>(o + L) = p.br - p.ai;
}

template <typename Real, int L>
inline __attribute__((always_inline)) void update(Real* n, Vec<Real, L> c) {
  const Vec<Real, L> floor = Vec<Real, L>{} + Real(1e-6), cap = Vec<Real, L>{} + Real(sizeof(Real) == 4 ? 1e30 : 1e60);
  c = c < 0 ? -c : c;
  c = c < floor ? floor : c;
  const Vec<Real, L> v = at<Real, L>(n) / c;
  at<Real, L>(n) = v > cap ? cap : v;  // only where W = 0, which nothing reads, does it run away
}

/// The imaginary part of C for 16 or fewer kx at one ky, kz: -2 Im of the three planes' sums.
template <typename Real, int L>
inline __attribute__((always_inline)) Vec<Real, L> odd_part(const GridView<Real>& g, int ky, int kz, long kx) {
  const long width = 32L * g.chunks, size_z = g.my * width, size_y = g.m * width,
             size_x = static_cast<long>(g.m) * g.my;
  const Real *pr = g.phase, *pi = g.phase + g.phase_count;
  const Real* z = g.odd_z + ky * width + kx;
  const Real* y = g.odd_y + kz * width + kx;
  const long x = static_cast<long>(kz) * g.my + ky;
  Vec<Real, L> sum = at<Real, L>(z + size_z) * pr[kz] + at<Real, L>(z) * pi[kz];
  sum += at<Real, L>(pr + kx) * g.odd_x[size_x + x] + at<Real, L>(pi + kx) * g.odd_x[x];
  if (g.my > 1) sum += at<Real, L>(y + size_y) * pr[ky] + at<Real, L>(y) * pi[ky];
  return sum * Real(-2);
}

/// |C| where C has an imaginary part, without overflow at 1e23 in single precision.
template <typename Real, int L>
inline __attribute__((always_inline)) Vec<Real, L> magnitude(Vec<Real, L> re, Vec<Real, L> im) {
  re = re < 0 ? -re : re;
  im = im < 0 ? -im : im;
  const Vec<Real, L> big = re > im ? re : im, small = re > im ? im : re;
  const Vec<Real, L> ratio = small / (big > 0 ? big : Vec<Real, L>{} + 1);
  Vec<Real, L> root = ratio * ratio + 1;
  for (int l = 0; l < L; ++l)
    root[l] = sizeof(Real) == 4 ? Real(__builtin_sqrtf(float(root[l]))) : Real(__builtin_sqrt(root[l]));
  return big * root;
}

template <typename Real, int L>
void columns(const GridView<Real>& g, int index, bool first, bool last, Real* buffers) {
  const Group& group = g.groups[index];
  const int m = g.m, reach = group.reach, planes = g.planes;
  const std::size_t size = (static_cast<std::size_t>(m) + 2) * 2 * L;
  Real *a = buffers, *b = a + size, *work = b + size;
  for (int lane = 0; lane < 16; lane += L) {
    Real* base = g.planes_data + static_cast<std::size_t>(index) * 64 + lane;
    if (!first) {
      for (int z = 0; z < planes; ++z) {
        const Real* t = base + g.plane_stride * static_cast<std::size_t>(z);
        const Pair<Real, L> p = {at<Real, L>(t), at<Real, L>(t + 16), at<Real, L>(t + 32), at<Real, L>(t + 48)};
        Pair<Real, L> q = p;
        if (z == 0) q.ai -= p.ai, q.bi -= p.bi;
        pack<Real, L>(a + 2L * L * z, a + 2L * L * (z == 0 ? 0 : m - z), q);
      }
      zero_elements<Real, L>(a, planes, m - planes + 1);
      const Real* c = transform<Real, L>(g.plan_z, a, b, work, false);
      Real* n = g.n + group.offset + lane;
      for (int kz = -reach; kz <= reach; ++kz, n += group_width) {
        const Real* value = c + 2L * L * (kz < 0 ? kz + m : kz);
        Vec<Real, L> ca = at<Real, L>(value) * g.norm, cb = at<Real, L>(value + L) * g.norm;
        if (g.skewed) {
          const int k = kz < 0 ? kz + m : kz;
          ca = magnitude<Real, L>(ca, odd_part<Real, L>(g, group.ky, k, group.kx + lane) * g.norm);
          cb = magnitude<Real, L>(cb, odd_part<Real, L>(g, group.ky, k, group.kx + lane + 16) * g.norm);
        }
        update<Real, L>(n, ca);
        update<Real, L>(n + 16, cb);
      }
    }
    if (last) continue;
    const Real* n = g.n + group.offset + lane;
    const Real* w = g.weight + group.offset + lane;
    for (int kz = -reach; kz <= reach; ++kz, n += group_width, w += group_width) {
      Real* value = a + 2L * L * (kz < 0 ? kz + m : kz);
      at<Real, L>(value) = at<Real, L>(n) * at<Real, L>(w);
      at<Real, L>(value + L) = at<Real, L>(n + 16) * at<Real, L>(w + 16);
    }
    zero_elements<Real, L>(a, reach + 1, m - reach);
    const Real* x = transform<Real, L>(g.plan_z, a, b, work, true);
    for (int z = 0; z < planes; ++z) {
      Real* t = base + g.plane_stride * static_cast<std::size_t>(z);
      const Pair<Real, L> p = unpack<Real, L>(x + 2L * L * z, x + 2L * L * (z == 0 ? 0 : m - z));
      at<Real, L>(t) = p.ar;
      at<Real, L>(t + 16) = p.ai;
      at<Real, L>(t + 32) = p.br;
      at<Real, L>(t + 48) = p.bi;
    }
  }
}

template <typename Real, int L>
inline __attribute__((always_inline)) Vec<Real, L> beta_at(const GridView<Real>& g, int x, const int* row) {
  Vec<Real, L> value;
  for (int l = 0; l < L; ++l) {
    int r2 = x + row[l];
    r2 = r2 < g.limit ? r2 : g.limit;
    value[l] = g.beta[r2];
  }
  return value;
}

/// Rows y of a plane, L times two: inverse along x, times beta, forward along x; in place in the plane's buffer.
template <typename Real, int L>
__attribute__((noinline)) void row_pair(const GridView<Real>& g, int z, const int* ys, int count, Real* plane,
                                        long row_size, Real* a, Real* b, Real* work) {
  const int m = g.m, radius = g.radius, h = (m - 1) / 2;
  const long half = row_size / 2;  // a row of the plane: re[half] | im[half]
  using V = Vec<Real, L>;
  int squares[2 * L], partners[2 * L], nearest = g.limit;
  Real* row[2 * L];
  for (int l = 0; l < 2 * L; ++l) {
    const int y = ys[l < count ? l : 0];
    row[l] = plane + row_size * y;
    // Lanes beyond the last row repeat the first one and are thrown away.
    const int y2 = g.my == 1 ? 0 : g.square[y], y2p = g.my == 1 ? 0 : g.partner[y];
    squares[l] = l < count ? y2 + g.square[z] : g.limit;
    partners[l] = l < count ? y2p + g.partner[z] : g.limit;
    if (squares[l] < nearest) nearest = squares[l];
    if (partners[l] < nearest) nearest = partners[l];
  }
  for (int k0 = 0; k0 < radius; k0 += L) {
    V ar[L], ai[L], br[L], bi[L];
    for (int l = 0; l < L; ++l) {
      ar[l] = at<Real, L>(row[l] + k0);
      ai[l] = at<Real, L>(row[l] + half + k0);
      br[l] = at<Real, L>(row[L + l] + k0);
      bi[l] = at<Real, L>(row[L + l] + half + k0);
    }
    transpose<Real, L>(ar);
    transpose<Real, L>(ai);
    transpose<Real, L>(br);
    transpose<Real, L>(bi);
    for (int l = 0; l < L && k0 + l < radius; ++l) {
      const int k = k0 + l;
      Pair<Real, L> p = {ar[l], ai[l], br[l], bi[l]};
      if (k == 0) p.ai -= p.ai, p.bi -= p.bi;  // as complex-to-real transforms do
      pack<Real, L>(a + 2L * L * k, a + 2L * L * (k == 0 ? 0 : m - k), p);
    }
  }
  zero_elements<Real, L>(a, radius, m - radius + 1);
  Real* c = transform<Real, L>(g.plan_z, a, b, work, true);
  Real* other = c == a ? b : a;
  if (g.skewed) {
    for (int l = 0; l < 2 * L && l < count; ++l) {
      const long offset = l < L ? l : L + (l - L);
      const int y = ys[l];
      for (const int x : {h, h + 1}) {
        // c(h, y, z), and c(h, -y, -z) = c(h + 1, y, z)
        const int zz = x == h ? z : (m - z) % m, yy = x == h ? y : (g.my - y) % g.my;
        g.edge_x[static_cast<long>(zz) * g.my + yy] = c[2L * L * x + offset];
      }
      if (g.my > 1 && (y == h || y == h + 1))
        for (int x = 0; x < m; ++x) {
          const int zz = y == h ? z : (m - z) % m, xx = y == h ? x : (m - x) % m;
          g.edge_y[static_cast<long>(zz) * m + xx] = c[2L * L * x + offset];
        }
      if (z == h)
        for (int x = 0; x < m; ++x) g.edge_z[static_cast<long>(y) * m + x] = c[2L * L * x + offset];
    }
  }
  int last = 0;  // elements 0 .. last - 1 and their opposites may differ from zero
  while (last <= h && (g.square[last] < g.partner[last] ? g.square[last] : g.partner[last]) + nearest < g.limit) ++last;
  for (int x = 0; x < last; ++x) {
    V ba = beta_at<Real, L>(g, g.square[x], squares), bb = beta_at<Real, L>(g, g.square[x], squares + L);
    Real* p = c + 2L * L * x;
    Real* q = c + 2L * L * (x == 0 ? 0 : m - x);
    if (!g.skewed) {
      at<Real, L>(p) *= ba;
      at<Real, L>(p + L) *= bb;
      if (x > 0) {
        at<Real, L>(q) *= ba;
        at<Real, L>(q + L) *= bb;
      }
    } else {
      // The even part of beta: the mean of its value here and at the opposite point.
      const int opposite = x == 0 ? 0 : m - x;
      const Real half_value = Real(0.5);
      const V pa = beta_at<Real, L>(g, g.partner[x], partners), pb = beta_at<Real, L>(g, g.partner[x], partners + L);
      at<Real, L>(p) *= (ba + pa) * half_value;
      at<Real, L>(p + L) *= (bb + pb) * half_value;
      if (x > 0) {
        const V qa = beta_at<Real, L>(g, g.square[opposite], squares);
        const V qb = beta_at<Real, L>(g, g.square[opposite], squares + L);
        const V ra = beta_at<Real, L>(g, g.partner[opposite], partners);
        const V rb = beta_at<Real, L>(g, g.partner[opposite], partners + L);
        at<Real, L>(q) *= (qa + ra) * half_value;
        at<Real, L>(q + L) *= (qb + rb) * half_value;
      }
    }
  }
  zero_elements<Real, L>(c, last, m - last + 1);
  const Real* d = transform<Real, L>(g.plan_z, c, other, work, false);
  for (int k0 = 0; k0 < radius; k0 += L) {
    V ar[L], ai[L], br[L], bi[L];
    for (int l = 0; l < L; ++l) {
      const int k = k0 + l < radius ? k0 + l : radius;
      const Pair<Real, L> p = unpack<Real, L>(d + 2L * L * k, d + 2L * L * (k == 0 ? 0 : m - k));
      ar[l] = p.ar, ai[l] = p.ai, br[l] = p.br, bi[l] = p.bi;
    }
    transpose<Real, L>(ar);
    transpose<Real, L>(ai);
    transpose<Real, L>(br);
    transpose<Real, L>(bi);
    for (int l = 0; l < L; ++l) {
      if (l < count) {
        at<Real, L>(row[l] + k0) = ar[l];
        at<Real, L>(row[l] + half + k0) = ai[l];
      }
      if (L + l < count) {
        at<Real, L>(row[L + l] + k0) = br[l];
        at<Real, L>(row[L + l] + half + k0) = bi[l];
      }
    }
  }
}

template <typename Real, int L>
void plane(const GridView<Real>& g, int z, Real* buffers) {
  const int my = g.my, halves = 2 * g.chunks;
  const std::size_t size = (static_cast<std::size_t>(g.m) + 2) * 2 * L;
  Real *a = buffers, *b = a + size, *work = b + size, *rows = work + size;
  const long row_size = 32L * halves;  // re[16 halves] | im[16 halves]
  Real* data = g.planes_data + g.plane_stride * static_cast<std::size_t>(z);
  const int reach = g.my == 1 ? 0 : g.rows[z];
  for (int chunk = 0; chunk < halves; ++chunk)
    for (int lane = 0; lane < 16; lane += L) {
      for (int y = 0; y < my; ++y) {
        const int group = g.group_at[y * g.chunks + chunk / 2];
        Real* value = a + 2L * L * y;
        if (group < 0) {
          zero_elements<Real, L>(value, 0, 1);
          continue;
        }
        const Real* t = data + group * 64L + (chunk % 2) * 32 + lane;
        at<Real, L>(value) = at<Real, L>(t);
        at<Real, L>(value + L) = at<Real, L>(t + 16);
      }
      const Real* c = transform<Real, L>(g.plan_y, a, b, work, true);
      for (int y = 0; y < my; ++y) {
        if (y > reach && y < my - reach) continue;
        Real* row = rows + row_size * y + chunk * 16 + lane;
        at<Real, L>(row) = at<Real, L>(c + 2L * L * y);
        at<Real, L>(row + row_size / 2) = at<Real, L>(c + 2L * L * y + L);
      }
    }
  int ys[2 * L], count = 0;
  for (int i = 0; i < 2 * reach + 1; ++i) {
    ys[count++] = i <= reach ? i : my - (2 * reach + 1 - i);
    if (count == 2 * L || i == 2 * reach) {
      row_pair<Real, L>(g, z, ys, count, rows, row_size, a, b, work);
      count = 0;
    }
  }
  for (int chunk = 0; chunk < halves; ++chunk)
    for (int lane = 0; lane < 16; lane += L) {
      for (int y = 0; y < my; ++y) {
        Real* value = a + 2L * L * y;
        if (y > reach && y < my - reach) {
          zero_elements<Real, L>(value, 0, 1);
          continue;
        }
        const Real* row = rows + row_size * y + chunk * 16 + lane;
        at<Real, L>(value) = at<Real, L>(row);
        at<Real, L>(value + L) = at<Real, L>(row + row_size / 2);
      }
      const Real* c = transform<Real, L>(g.plan_y, a, b, work, false);
      for (int y = 0; y < my; ++y) {
        const int group = g.group_at[y * g.chunks + chunk / 2];
        if (group < 0) continue;
        Real* t = data + group * 64L + (chunk % 2) * 32 + lane;
        at<Real, L>(t) = at<Real, L>(c + 2L * L * y);
        at<Real, L>(t + 16) = at<Real, L>(c + 2L * L * y + L);
      }
    }
}

template <typename Real, int L>
std::size_t buffer_size(int m, int my, int chunks) {
  return (static_cast<std::size_t>(m) + 2) * 6 * L +
         static_cast<std::size_t>(my) * 64 * static_cast<std::size_t>(chunks);
}

template <typename Real, int L>
Kernels<Real> make_kernels(const char* name) {
  return {name, L, transform<Real, L>, columns<Real, L>, plane<Real, L>, buffer_size<Real, L>};
}

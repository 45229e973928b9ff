// Weight matrices in panels of two registers of outputs, and the product that reads them.
//
// An output is always summed over its inputs in their order, by one chain of additions, so a row's
// result does not depend on how many rows are multiplied beside it.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "team.h"
#include "vector.h"

namespace uniaudio {

enum Kind { F32 = 0, BF16 = 1, INT8 = 2 };
enum Finish { STORE = 0, ADD = 1, GELU_ERF = 2, GELU_TANH = 3, SILU_GATE = 4 };

constexpr int PANEL = 2 * LANES;
constexpr size_t AHEAD = 2048;         // bytes that weights are asked for before their use
constexpr int MANY_ROWS = 12;  // with more, a task computes for so long that one panel is enough for it
constexpr size_t TASK_BYTES = 96 << 10;  // of weights that one task reads where there is enough to share out

// Rows of a tile: its sums, two for each row, fill the registers beside 2 weights and a factor. Without bfloat16
// products the weights of two inputs lie apart and take 4.
template <int KIND>
constexpr int max_rows() {
#if defined(__AVX512F__)
  return 12;
#elif defined(__AVX2__)
  return KIND == BF16 ? 4 : 6;
#else
  return 4;
#endif
}

static inline char* reserve_bytes(size_t size) {
  constexpr size_t huge_page = size_t(2) << 20;
  size = (size + 63) / 64 * 64;
  const bool is_large = size >= huge_page;
  if (is_large) size = (size + huge_page - 1) / huge_page * huge_page;
  void* memory = std::aligned_alloc(is_large ? huge_page : 64, std::max<size_t>(size, 64));
  if (memory == nullptr) throw std::bad_alloc();
  if (is_large) madvise(memory, size, MADV_HUGEPAGE);
  return (char*)memory;
}

// Weights lie one after the other in large pages; they are freed with the last matrix in them.
struct Arena {
  char* memory;
  size_t used = 0, size;
  explicit Arena(size_t bytes) : memory(reserve_bytes(bytes)), size(bytes) {}
  ~Arena() { std::free(memory); }

  static char* take(size_t bytes, std::shared_ptr<Arena>& owner) {
    static std::mutex guard;
    static std::shared_ptr<Arena> current;
    std::lock_guard<std::mutex> lock(guard);
    bytes = (bytes + 4095) / 4096 * 4096;
    if (!current || current->used + bytes > current->size) current = std::make_shared<Arena>(std::max<size_t>(bytes, size_t(32) << 20));
    owner = current;
    current->used += bytes;
    return current->memory + current->used - bytes;
  }
};

// `num_out` outputs of `num_in` inputs. A gated one has gate and up side by side in every panel, half and half.
struct Matrix {
  int num_out, num_in, kind, num_panels;
  bool is_gated;
  size_t panel_bytes;
  char* data;
  float* scales;  // INT8: one per column of a panel
  float* bias;    // one per column of a panel
  std::shared_ptr<Arena> owner;

  bool takes_bf16() const { return kind == BF16; }
  int num_results() const { return is_gated ? num_out / 2 : num_out; }
  ~Matrix() { std::free(scales), std::free(bias); }
};

// Which row of the source is column `column` of panel `panel`; -1 is padding.
static inline int source_row(const Matrix& m, int panel, int column) {
  if (!m.is_gated) {
    const int row = panel * PANEL + column;
    return row < m.num_out ? row : -1;
  }
  const int half = m.num_out / 2, row = panel * LANES + column % LANES;
  return row >= half ? -1 : column < LANES ? row : half + row;
}

static inline void pack_column(const Matrix& m, char* panel, int column, const float* row, float* scale) {
  if (m.kind == F32) {
    for (int k = 0; k < m.num_in; ++k) ((float*)panel)[k * PANEL + column] = row ? row[k] : 0.0f;
  } else if (m.kind == BF16) {
    for (int k = 0; k < m.num_in; ++k)
      ((uint16_t*)panel)[(k / 2 * PANEL + column) * 2 + k % 2] = row ? to_bf16(row[k]) : 0;
  } else {
    float top = 0.0f;
    for (int k = 0; row && k < m.num_in; ++k) top = std::max(top, std::fabs(row[k]));
    *scale = top / 127.0f;
    const float inverse = top > 0.0f ? 127.0f / top : 0.0f;
    for (int k = 0; k < m.num_in; ++k)
      ((int8_t*)panel)[(k / 2 * PANEL + column) * 2 + k % 2] = row ? (int8_t)std::nearbyint(row[k] * inverse) : 0;
  }
}

// Packs `(num_out, num_in)` floats.
static inline Matrix* pack(int kind, int num_out, int num_in, bool is_gated, const float* from, const float* bias) {
  std::unique_ptr<Matrix> m(new Matrix{num_out, num_in, kind, 0, is_gated, 0, nullptr, nullptr, nullptr, nullptr});
  m->num_panels = is_gated ? (num_out / 2 + LANES - 1) / LANES : (num_out + PANEL - 1) / PANEL;
  m->panel_bytes = size_t(kind == F32 ? num_in : (num_in + 1) / 2 * 2) * PANEL * (kind == F32 ? 4 : kind == BF16 ? 2 : 1);
  m->data = Arena::take(m->panel_bytes * m->num_panels, m->owner);
  const size_t columns = size_t(m->num_panels) * PANEL;
  if (kind == INT8) m->scales = (float*)reserve_bytes(columns * 4);
  if (kind != F32 && num_in % 2) std::memset(m->data, 0, m->panel_bytes * m->num_panels);
  m->bias = (float*)reserve_bytes(columns * 4);
  for (size_t c = 0; c < columns; ++c) {
    const int row = source_row(*m, int(c / PANEL), int(c % PANEL));
    const float* source = row < 0 ? nullptr : from + size_t(row) * num_in;
    pack_column(*m, m->data + c / PANEL * m->panel_bytes, int(c % PANEL), source, m->scales ? m->scales + c : nullptr);
    m->bias[c] = bias && row >= 0 ? bias[row] : 0.0f;
  }
  return m.release();
}

// Where results go: rows of floats, or of bfloat16 if what reads them multiplies in it.
struct Results {
  Finish finish = STORE;
  bool is_bf16 = false;
};

// A number in every lane. What is done to it is done there: left to itself, the compiler does it before it copies,
// and copies each result again.
static inline Ints copies_of(int32_t number) {
  Ints all = number - Ints{};
#if defined(__x86_64__)
  asm("" : "+x"(all));
#endif
  return all;
}

// sum + weights * factor for two inputs of a register of outputs.
static inline Floats multiply_add_pair(Floats sum, Ints weights, const char* factors) {
  int32_t pair;
  std::memcpy(&pair, factors, 4);
#if defined(__AVX512BF16__)
  return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)weights);
#else
  const Ints both = copies_of(pair), odd = int32_t(0xffff0000) - Ints{};
  sum = multiply_add(sum, (Floats)(weights << 16), (Floats)(both << 16));
  return multiply_add(sum, (Floats)(weights & odd), (Floats)(both & odd));
#endif
}

// The same in whole numbers: bytes by 16-bit numbers, which `round_to_whole` keeps small enough.
static inline Ints multiply_add_whole(Ints sum, Ints weights, const char* factors) {
  int32_t pair;
  std::memcpy(&pair, factors, 4);
#if defined(__AVX512VNNI__)
  return (Ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)weights, _mm512_set1_epi32(pair));
#elif defined(__AVX2__) && !defined(__AVX512F__)
  return sum + (Ints)_mm256_madd_epi16((__m256i)weights, _mm256_set1_epi32(pair));
#else
  const Ints even = (weights << 16) >> 16, odd = weights >> 16;
  return sum + even * int32_t(int16_t(pair)) + odd * (pair >> 16);
#endif
}

template <int KIND>
using Sum = std::conditional_t<KIND == INT8, Ints, Floats>;
template <int KIND>
using Weights = std::conditional_t<KIND == F32, Floats, Ints>;

template <int KIND>
static inline Weights<KIND> load_weights(const char* at) {
  if constexpr (KIND == INT8) return widen(at);
  else return *(const Weights<KIND>*)at;
}

template <int KIND>
static inline Sum<KIND> multiply_step(Sum<KIND> sum, Weights<KIND> weights, const char* factors) {
  if constexpr (KIND == INT8) return multiply_add_whole(sum, weights, factors);
  else if constexpr (KIND == BF16) return multiply_add_pair(sum, weights, factors);
  else return multiply_add(sum, weights, *(const float*)factors);
}

// The products of a few rows with one or two panels, in registers. Unrolled by hand: left to itself,
// the compiler spills sums for some numbers of rows.
template <int KIND, int ROWS, int VECTORS>
static inline __attribute__((always_inline)) void multiply_tile(const char* const* panels, int num_in, const char* const* rows,
                                                                Sum<KIND> (&sums)[ROWS][VECTORS]) {
  constexpr int inputs = KIND == F32 ? 1 : 2;  // of one step
  constexpr size_t step = size_t(PANEL) * (KIND == INT8 ? 2 : 4);
  const char* x[ROWS];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r) x[r] = rows[r];
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) sums[r][v] = Sum<KIND>{};
  for (int k = 0; k < (num_in + inputs - 1) / inputs; ++k) {
    Weights<KIND> weights[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      const char* at = panels[v / 2] + k * step + v % 2 * (step / 2);
      weights[v] = load_weights<KIND>(at);
      __builtin_prefetch(at + AHEAD);
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[r][v] = multiply_step<KIND>(sums[r][v], weights[v], x[r] + 4 * size_t(k));
  }
}

static inline void put(char* row, int column, int limit, bool is_bf16, Finish finish, Floats value) {
  if (finish == GELU_ERF) value = gelu_erf(value);
  if (finish == GELU_TANH) value = gelu_tanh(value);
  if (column + LANES <= limit) {
    if (is_bf16) return store_bf16((uint16_t*)row + column, value);
    float* to = (float*)row + column;
    return store(to, finish == ADD ? load(to) + value : value);
  }
  for (int i = 0; column + i < limit; ++i) {
    if (is_bf16) ((uint16_t*)row)[column + i] = to_bf16(value[i]);
    else ((float*)row)[column + i] = finish == ADD ? ((float*)row)[column + i] + value[i] : value[i];
  }
}

// `row_scales` is what a whole number in each row stands for; null but for INT8.
template <int KIND, int ROWS, int PANELS>
static void tile(const Matrix& m, int panel, const char* const* x, const float* row_scales, char* const* y, Results to) {
  const char* panels[PANELS];
  for (int p = 0; p < PANELS; ++p) panels[p] = m.data + (panel + p) * m.panel_bytes;
  Sum<KIND> sums[ROWS][2 * PANELS];
  multiply_tile<KIND, ROWS, 2 * PANELS>(panels, m.num_in, x, sums);
  for (int p = 0; p < PANELS; ++p) {
    const size_t at = size_t(panel + p) * PANEL;
    Floats bias[2] = {load(m.bias + at), load(m.bias + at + LANES)}, scale[2];
    if (KIND == INT8) scale[0] = load(m.scales + at), scale[1] = load(m.scales + at + LANES);
    for (int r = 0; r < ROWS; ++r) {
      Floats first, second;
      if constexpr (KIND == INT8) {
        first = __builtin_convertvector(sums[r][2 * p], Floats) * (scale[0] * row_scales[r]);
        second = __builtin_convertvector(sums[r][2 * p + 1], Floats) * (scale[1] * row_scales[r]);
      } else {
        first = sums[r][2 * p], second = sums[r][2 * p + 1];
      }
      first += bias[0], second += bias[1];
      if (m.is_gated) {
        put(y[r], (panel + p) * LANES, m.num_out / 2, to.is_bf16, to.finish, silu(first) * second);
      } else {
        put(y[r], int(at), m.num_out, to.is_bf16, to.finish, first);
        put(y[r], int(at) + LANES, m.num_out, to.is_bf16, to.finish, second);
      }
    }
  }
}

template <int KIND, int PANELS>
static void tile_of(int rows, const Matrix& m, int panel, const char* const* x, const float* row_scales, char* const* y, Results to) {
  switch (rows) {
    case 1: return tile<KIND, 1, PANELS>(m, panel, x, row_scales, y, to);
    case 2: return tile<KIND, 2, PANELS>(m, panel, x, row_scales, y, to);
    case 3: return tile<KIND, 3, PANELS>(m, panel, x, row_scales, y, to);
    case 4: return tile<KIND, 4, PANELS>(m, panel, x, row_scales, y, to);
  }
  if constexpr (PANELS == 1) switch (rows) {
    case 5: return tile<KIND, 5, 1>(m, panel, x, row_scales, y, to);
    case 6: return tile<KIND, 6, 1>(m, panel, x, row_scales, y, to);
    case 7: return tile<KIND, 7, 1>(m, panel, x, row_scales, y, to);
    case 8: return tile<KIND, 8, 1>(m, panel, x, row_scales, y, to);
    case 9: return tile<KIND, 9, 1>(m, panel, x, row_scales, y, to);
    case 10: return tile<KIND, 10, 1>(m, panel, x, row_scales, y, to);
    case 11: return tile<KIND, 11, 1>(m, panel, x, row_scales, y, to);
    case 12: return tile<KIND, 12, 1>(m, panel, x, row_scales, y, to);
  }
}

template <int KIND>
static void multiply_panels(const Matrix& m, int panel, int end, int rows, const char* const* x, const float* row_scales, char* const* y,
                            Results to) {
  // Bytes are read two panels at a time to keep up with memory, as far as registers go; the others as one stream.
  if (KIND == INT8 && rows <= max_rows<INT8>() / 3)
    for (; panel + 2 <= end; panel += 2) tile_of<KIND, 2>(rows, m, panel, x, row_scales, y, to);
  const int tiles = (rows + max_rows<KIND>() - 1) / max_rows<KIND>();
  for (; panel < end; ++panel)
    for (int t = 0; t < tiles; ++t) {
      const int first = rows * t / tiles, last = rows * (t + 1) / tiles;
      tile_of<KIND, 1>(last - first, m, panel, x + first, row_scales ? row_scales + first : nullptr, y + first, to);
    }
}

// A row of floats in whole numbers, as large as `num_in` products with bytes allow in a 32-bit sum; what one stands for.
static inline float round_to_whole(int16_t* to, const float* from, int num_in) {
  Floats top = Floats{};
  int i = 0;
  for (; i + LANES <= num_in; i += LANES) {
    const Floats x = load(from + i), size = x < Floats{} ? -x : x;
    top = size > top ? size : top;
  }
  float highest = largest_of(top);
  for (; i < num_in; ++i) highest = std::max(highest, std::fabs(from[i]));
  const float range = std::min(32767.0f, std::floor(2147483647.0f / (127.0f * num_in)));
  const float inverse = highest > 0.0f ? range / highest : 0.0f;
  for (i = 0; i + LANES <= num_in; i += LANES) {
    const Floats magic = splat(12582912.0f), whole = (load(from + i) * inverse + magic) - magic;
    *(Shorts*)(to + i) = __builtin_convertvector(__builtin_convertvector(whole, Ints), Shorts);
  }
  for (; i < num_in; ++i) to[i] = int16_t(std::nearbyint(from[i] * inverse));
  if (num_in % 2) to[num_in] = 0;
  return highest / range;
}

static inline void multiply_whole(const Matrix& m, int panel, int end, int rows, const char* const* x, char* const* y, Results to) {
  static thread_local std::vector<int16_t> numbers;
  static thread_local std::vector<float> scales;
  static thread_local std::vector<const char*> at;
  const size_t width = (m.num_in + 31) / 32 * 32;
  numbers.resize(std::max(numbers.size(), width * rows)), scales.resize(rows), at.resize(rows);
  for (int r = 0; r < rows; ++r) {
    scales[r] = round_to_whole(numbers.data() + r * width, (const float*)x[r], m.num_in);
    at[r] = (const char*)(numbers.data() + r * width);
  }
  multiply_panels<INT8>(m, panel, end, rows, at.data(), scales.data(), y, to);
}

// Panels that one task takes: more of small ones, but never so many that threads would wait for the last.
static inline int panels_per_task(const Matrix& m, int rows) {
  // Every task rounds its rows to whole numbers by itself: with many rows, it should not do so for little.
  if (rows > MANY_ROWS) return m.kind == INT8 ? std::max(1, m.num_panels / 8) : 1;
  return std::max(1, std::min(int(TASK_BYTES / m.panel_bytes), m.num_panels / 4));
}

static inline int num_tasks(const Matrix& m, int rows) {
  const int step = panels_per_task(m, rows);
  return (m.num_panels + step - 1) / step;
}

// Task `task` of `num_tasks`: all rows by its panels. `x` are rows of floats, or of bfloat16 for BF16.
static inline void multiply_task(const Matrix& m, int task, int rows, const char* const* x, char* const* y, Results to) {
  const int step = panels_per_task(m, rows), panel = task * step, end = std::min(panel + step, m.num_panels);
  if (m.kind == F32) return multiply_panels<F32>(m, panel, end, rows, x, nullptr, y, to);
  if (m.kind == BF16) return multiply_panels<BF16>(m, panel, end, rows, x, nullptr, y, to);
  return multiply_whole(m, panel, end, rows, x, y, to);
}

// A block of rows in memory, float or bfloat16, and pointers to each of them.
struct Rows {
  std::vector<char*> at;
  char* memory = nullptr;
  size_t capacity = 0;
  bool is_bf16 = false;

  void shape(int rows, int width, bool bf16) {
    is_bf16 = bf16;
    const size_t stride = (size_t(width) * (bf16 ? 2 : 4) + 63) / 64 * 64;
    if (stride * rows > capacity) {
      std::free(memory);
      capacity = stride * rows * 5 / 4;
      memory = reserve_bytes(capacity);
    }
    at.resize(rows);
    for (int r = 0; r < rows; ++r) at[r] = memory + stride * r;
  }
  float* floats(int row) const { return (float*)at[row]; }
  char* const* from(int row) const { return at.data() + row; }
  ~Rows() { std::free(memory); }
};

}  // namespace uniaudio

// As many floats at once as a register of the CPU holds, written with the compiler's vector types. Wider ones
// compile everywhere, too, but through memory: an order of magnitude slower.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace uniaudio {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int16_t Shorts __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static inline Floats load(const float* p) { return *(const Floats*)p; }
static inline void store(float* p, Floats v) { *(Floats*)p = v; }
static inline Floats splat(float x) { return x - Floats{}; }  // x + 0 would be computed: it is not x for -0

// Whole numbers of a byte each, two for a lane, as 16-bit ones.
static inline Ints widen(const char* bytes) {
#if defined(__AVX512BW__)
  return (Ints)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)bytes));
#elif defined(__AVX2__) && !defined(__AVX512F__)
  return (Ints)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)bytes));
#else
  typedef int16_t Wide __attribute__((vector_size(4 * LANES)));
  typedef int8_t Bytes __attribute__((vector_size(2 * LANES), aligned(1), may_alias));
  return (Ints)__builtin_convertvector(*(const Bytes*)bytes, Wide);
#endif
}

// sum + weights * factors, rounded once where the CPU can.
static inline Floats multiply_add(Floats sum, Floats weights, Floats factors) {
#if defined(__AVX512F__)
  return (Floats)_mm512_fmadd_ps((__m512)weights, (__m512)factors, (__m512)sum);
#elif defined(__AVX2__) && defined(__FMA__)
  return (Floats)_mm256_fmadd_ps((__m256)weights, (__m256)factors, (__m256)sum);
#else
  return sum + weights * factors;
#endif
}
static inline Floats multiply_add(Floats sum, Floats weights, float factor) { return multiply_add(sum, weights, splat(factor)); }

// Numbers as a cache keeps them: floats, or the upper halves of floats.
static inline Floats load_kept(const float* from) { return load(from); }
static inline Floats load_kept(const uint16_t* from) {
#if defined(__AVX512F__)
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)from)), 16);
#elif defined(__AVX2__)
  return (Floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)from)), 16);
#else
  return (Floats)(__builtin_convertvector(*(const Halves*)from, Bits) << 16);
#endif
}

static inline float sum_of(Floats v) {
  float part[LANES];
  std::memcpy(part, &v, sizeof part);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  return part[0];
}

static inline float largest_of(Floats v) {
  float top = v[0];
  for (int i = 1; i < LANES; ++i) top = v[i] > top ? v[i] : top;
  return top;
}

// e to the x with a relative error of some 1e-7; exactly 0 where float32 has no normal number.
static inline Floats exp_of(Floats x) {
  const Floats low = splat(-87.33f), high = splat(88.37f);
  Floats bounded = x < low ? low : x;
  bounded = bounded > high ? high : bounded;
  const Floats magic = splat(12582912.0f);  // adding it rounds to a whole number
  Floats whole = (bounded * splat(1.44269504088896341f) + magic) - magic;
  Floats rest = bounded - whole * splat(0.693359375f);
  rest = rest - whole * splat(-2.12194440e-4f);
  Floats y = splat(1.9875691500e-4f);
  y = y * rest + splat(1.3981999507e-3f);
  y = y * rest + splat(8.3334519073e-3f);
  y = y * rest + splat(4.1665795894e-2f);
  y = y * rest + splat(1.6666665459e-1f);
  y = y * rest + splat(5.0000001201e-1f);
  y = y * rest * rest + rest + splat(1.0f);
  Ints exponent = (__builtin_convertvector(whole, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return x < low ? Floats{} : y * scale;
}

static inline Floats silu(Floats x) { return x / (splat(1.0f) + exp_of(-x)); }

static inline Floats gelu_tanh(Floats x) {
  // 0.5 (1 + tanh(u)) is the logistic function of 2 u.
  Floats u = splat(0.7978845608028654f) * (x + splat(0.044715f) * x * x * x);
  return x / (splat(1.0f) + exp_of(splat(-2.0f) * u));
}

// With erf by Abramowitz and Stegun 7.1.26, absolute error below 2e-7.
static inline Floats gelu_erf(Floats x) {
  Floats z = x * splat(0.7071067811865476f);
  Floats size = z < Floats{} ? -z : z;
  Floats t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f) * size);
  Floats y = splat(1.061405429f);
  y = y * t + splat(-1.453152027f);
  y = y * t + splat(1.421413741f);
  y = y * t + splat(-0.284496736f);
  y = y * t + splat(0.254829592f);
  Floats erf = splat(1.0f) - y * t * exp_of(-size * size);
  erf = z < Floats{} ? -erf : erf;
  return splat(0.5f) * x * (splat(1.0f) + erf);
}

// Round to nearest, ties to even; a NaN stays one.
static inline uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float from_bf16(uint16_t half) {
  uint32_t bits = uint32_t(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

static inline void store_bf16(uint16_t* to, Floats v) {
#if defined(__AVX512BF16__)
  *(Halves*)to = (Halves)_mm512_cvtneps_pbh((__m512)v);
#elif defined(__AVX2__) && !defined(__AVX512F__)
  const Bits bits = (Bits)v, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Bits whole = v == v ? rounded : (bits >> 16) | 0x40u;
  const __m256i pairs = _mm256_packus_epi32((__m256i)whole, (__m256i)whole);  // within each half of the register
  _mm_storeu_si128((__m128i*)to, _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0x08)));
#else
  for (int i = 0; i < LANES; ++i) to[i] = to_bf16(v[i]);
#endif
}

static inline void keep_one(float* to, float value) { *to = value; }
static inline void keep_one(uint16_t* to, float value) { *to = to_bf16(value); }
static inline float kept_one(float value) { return value; }
static inline float kept_one(uint16_t value) { return from_bf16(value); }

static inline void round_row(uint16_t* to, const float* from, int count) {
  int i = 0;
  for (; i + LANES <= count; i += LANES) store_bf16(to + i, load(from + i));
  for (; i < count; ++i) to[i] = to_bf16(from[i]);
}

static inline void keep_row(float* to, const float* from, int count) { std::memcpy(to, from, size_t(count) * 4); }
static inline void keep_row(uint16_t* to, const float* from, int count) { round_row(to, from, count); }

}  // namespace uniaudio

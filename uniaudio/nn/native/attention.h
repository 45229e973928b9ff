// Attention of a few queries to keys and values that lie in blocks of sixteen positions.
//
// A block holds, for every layer and key head, its keys coordinate by coordinate (sixteen positions
// side by side) and then its values position by position. A query is computed by itself, from the
// first key it sees to the last, so nothing depends on which queries stand beside it. What is kept is
// `Kept`: float, or the upper half of one, which halves what must be read.
#pragma once
#include <algorithm>
#include <vector>

#include "vector.h"

namespace uniaudio {

constexpr int BLOCK = 16;
constexpr int MAX_QUERIES = 12;

static inline size_t head_numbers(int head_dim) { return size_t(2) * BLOCK * head_dim; }

// Writes one position's key and value of one head into a block's part for that head.
template <class Kept>
static inline void remember(Kept* part, int slot, int head_dim, const float* key, const float* value) {
  for (int d = 0; d < head_dim; ++d) keep_one(part + d * BLOCK + slot, key[d]);
  keep_row(part + BLOCK * head_dim + slot * head_dim, value, head_dim);
}

// Scores of a block's positions from `at` on, a register of them; `next` is what will be read after this block.
template <int QUERIES, class Kept>
static inline void score_part(int at, const Kept* keys, const Kept* next, int head_dim, const float* const* queries,
                              float* const* scores, float scale) {
  Floats sums[QUERIES];
#pragma GCC unroll 16
  for (int q = 0; q < QUERIES; ++q) sums[q] = Floats{};
  for (int d = 0; d < head_dim; ++d) {
    const Floats key = load_kept(keys + d * BLOCK + at);
    __builtin_prefetch(next + d * BLOCK + at);
#pragma GCC unroll 16
    for (int q = 0; q < QUERIES; ++q) sums[q] = multiply_add(sums[q], key, queries[q][d]);
  }
#pragma GCC unroll 16
  for (int q = 0; q < QUERIES; ++q) store(scores[q] + at, sums[q] * scale);
}

template <int QUERIES, class Kept>
static inline void score_block(const Kept* keys, const Kept* next, int head_dim, const float* const* queries, float* const* scores,
                               float scale) {
  for (int at = 0; at < BLOCK; at += LANES) score_part<QUERIES>(at, keys, next, head_dim, queries, scores, scale);
}

template <class Kept>
static inline void score_block_of(int count, const Kept* keys, const Kept* next, int head_dim, const float* const* queries,
                                  float* const* scores, float scale) {
  switch (count) {
    case 1: return score_block<1>(keys, next, head_dim, queries, scores, scale);
    case 2: return score_block<2>(keys, next, head_dim, queries, scores, scale);
    case 3: return score_block<3>(keys, next, head_dim, queries, scores, scale);
    case 4: return score_block<4>(keys, next, head_dim, queries, scores, scale);
    case 5: return score_block<5>(keys, next, head_dim, queries, scores, scale);
    case 6: return score_block<6>(keys, next, head_dim, queries, scores, scale);
    case 7: return score_block<7>(keys, next, head_dim, queries, scores, scale);
    case 8: return score_block<8>(keys, next, head_dim, queries, scores, scale);
    case 9: return score_block<9>(keys, next, head_dim, queries, scores, scale);
    case 10: return score_block<10>(keys, next, head_dim, queries, scores, scale);
    case 11: return score_block<11>(keys, next, head_dim, queries, scores, scale);
    case 12: return score_block<12>(keys, next, head_dim, queries, scores, scale);
  }
}

// Scores of positions [first, end) to weights that sum to one; what lies outside in their blocks is 0.
static inline void softmax(float* scores, int first, int end, int first_block) {
  float* row = scores - first_block * BLOCK;
  const int from = first_block * BLOCK, to = (end + BLOCK - 1) / BLOCK * BLOCK;
  for (int i = from; i < first; ++i) row[i] = -INFINITY;
  for (int i = end; i < to; ++i) row[i] = -INFINITY;
  Floats top = load(row + from);
  for (int i = from + LANES; i < to; i += LANES) {
    const Floats next = load(row + i);
    top = next > top ? next : top;
  }
  const Floats highest = splat(largest_of(top));
  Floats total = Floats{};
  for (int i = from; i < to; i += LANES) {
    const Floats weight = exp_of(load(row + i) - highest);
    store(row + i, weight);
    total += weight;
  }
  const Floats share = splat(1.0f / sum_of(total));
  for (int i = from; i < to; i += LANES) store(row + i, load(row + i) * share);
}

// sums += weight * value over a block's positions, for a stretch of a head's coordinates.
template <int VECTORS, class Kept>
static inline void add_values(const Kept* values, const Kept* next, int head_dim, const float* weights, int count,
                              Floats (&sums)[VECTORS]) {
  for (int i = 0; i < count; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) {
      sums[v] = multiply_add(sums[v], load_kept(values + size_t(i) * head_dim + v * LANES), weights[i]);
      __builtin_prefetch(next + size_t(i) * head_dim + v * LANES);
    }
  }
}

template <int VECTORS, class BlockOf>
static inline void mix_values(BlockOf block_of, int head_dim, int at, const float* weights, int first, int end, float* out) {
  Floats sums[VECTORS];
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; ++v) sums[v] = Floats{};
  for (int b = first / BLOCK; b * BLOCK < end; ++b) {
    const int from = std::max(first, b * BLOCK), to = std::min(end, (b + 1) * BLOCK);
    const size_t place = size_t(BLOCK + from - b * BLOCK) * head_dim + at;
    const auto* values = block_of(b) + place;
    const auto* next = to < end ? block_of(b + 1) + place : values;
    add_values<VECTORS>(values, next, head_dim, weights + from, to - from, sums);
  }
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; ++v) store(out + at + v * LANES, sums[v]);
}

template <class BlockOf>
static inline void mix_head(BlockOf block_of, int head_dim, const float* weights, int first, int end, float* out) {
  int at = 0;
  for (; at + 8 * LANES <= head_dim; at += 8 * LANES) mix_values<8>(block_of, head_dim, at, weights, first, end, out);
  for (; at + 4 * LANES <= head_dim; at += 4 * LANES) mix_values<4>(block_of, head_dim, at, weights, first, end, out);
  for (; at + LANES <= head_dim; at += LANES) mix_values<1>(block_of, head_dim, at, weights, first, end, out);
  for (; at < head_dim; ++at) {
    float sum = 0.0f;
    for (int i = first; i < end; ++i) sum += weights[i] * kept_one(block_of(i / BLOCK)[(BLOCK + i % BLOCK) * head_dim + at]);
    out[at] = sum;
  }
}

// Attention of up to MAX_QUERIES queries of one head; query q sees positions [first[q], end[q]).
// `block_of(b)` gives the head's part of block b. `scratch` grows as needed.
template <class BlockOf>
static inline void attend(BlockOf block_of, int head_dim, int count, const float* const* queries, const int* first, const int* end,
                          float* const* out, std::vector<float>& scratch) {
  const int first_block = *std::min_element(first, first + count) / BLOCK;
  const int num_blocks = (*std::max_element(end, end + count) + BLOCK - 1) / BLOCK - first_block;
  const size_t width = size_t(num_blocks) * BLOCK;
  if (scratch.size() < width * MAX_QUERIES) scratch.resize(width * MAX_QUERIES);
  const float scale = 1.0f / std::sqrt(float(head_dim));
  float* scores[MAX_QUERIES];
  for (int b = 0; b < num_blocks; ++b) {
    for (int q = 0; q < count; ++q) scores[q] = scratch.data() + q * width + size_t(b) * BLOCK;
    const auto* keys = block_of(first_block + b);
    const auto* next = b + 1 < num_blocks ? block_of(first_block + b + 1) : block_of(first_block) + BLOCK * head_dim;
    score_block_of(count, keys, next, head_dim, queries, scores, scale);
  }
  for (int q = 0; q < count; ++q) {
    float* row = scratch.data() + q * width - size_t(first_block) * BLOCK;
    softmax(row + first[q] / BLOCK * BLOCK, first[q], end[q], first[q] / BLOCK);
    mix_head(block_of, head_dim, row, first[q], end[q], out[q]);
  }
}

}  // namespace uniaudio

// A stack of pre-norm transformer layers over packed rows: language model, semantic module, waveform
// backbone and flow head are all this, with other norms, activations, experts and ways to attend.
#pragma once
#include "attention.h"
#include "matrix.h"

namespace uniaudio {

using Vector = std::vector<float>;
using MatrixPointer = std::unique_ptr<Matrix>;

struct Norm {
  Vector weight, bias;  // a bias makes it a LayerNorm, without one it is an RMSNorm
};

struct Layer {
  Norm attention_norm, feed_forward_norm;
  Vector query_norm, key_norm;  // per head, empty where the model has none
  MatrixPointer query_key_value, out, up, down, router, audio_router;
  std::vector<MatrixPointer> experts_up, experts_down;
  int window = 0;  // keys that a query sees, itself included; 0 is the whole past
};

// Rows that continue sequences: each with its sequence, its position, and that sequence's blocks.
struct Batch {
  int num_rows = 0;
  const int32_t* sequence = nullptr;
  const int32_t* position = nullptr;
  const int64_t* tables = nullptr;  // (num_sequences, table_width) addresses of blocks
  int table_width = 0;              // position p lies in entry p / 16 modulo the width
  const uint8_t* is_audio = nullptr;
  // Alternatively: groups of this many rows that all see each other, and nothing else.
  int group = 0;
  int keep = 0;  // with groups: the last rows of each that are wanted after the last layer
};

// Experts that other ranks hold: `begin` hands out a layer's rows, `end` has the results. Both say 0 when all is well.
struct Elsewhere {
  // x: rows of floats or bfloat16, `x_stride` bytes apart; experts: (rows, top_k); results: (rows * top_k) rows of floats.
  int (*begin)(int layer, int rows, const char* x, long long x_stride, const int32_t* experts, float* results, long long results_stride) = nullptr;
  int (*end)() = nullptr;
};

struct Stack {
  int dim, num_heads, num_kv_heads, head_dim, num_rotary_heads, top_k;
  bool normalize, keeps_halves;  // keys and values as bfloat16
  Finish activation;
  float eps;
  std::vector<double> frequencies;
  std::vector<Layer> layers;
  Norm final_norm;
  Elsewhere elsewhere;
  // Working memory of the run at hand.
  Rows x, normed, heads, attended, inner, mixed, shared;
  Vector cosines, sines, weights;
  std::vector<int32_t> experts, expert_starts, expert_rows, active;
  std::vector<Vector> scratch;
  std::vector<std::pair<int, int>> spans;  // rows that attend together: first, count
};

static inline void norm_row(const Norm& norm, float eps, int dim, const float* x, char* out, bool is_bf16) {
  float mean = 0.0f;
  if (!norm.bias.empty()) {
    Floats total = Floats{};
    int i = 0;
    for (; i + LANES <= dim; i += LANES) total += load(x + i);
    mean = sum_of(total);
    for (; i < dim; ++i) mean += x[i];
    mean /= float(dim);
  }
  Floats squares = Floats{};
  int i = 0;
  for (; i + LANES <= dim; i += LANES) {
    const Floats d = load(x + i) - mean;
    squares += d * d;
  }
  float variance = sum_of(squares);
  for (; i < dim; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const float scale = 1.0f / std::sqrt(variance / float(dim) + eps);
  const float* bias = norm.bias.empty() ? nullptr : norm.bias.data();
  for (i = 0; i + LANES <= dim; i += LANES) {
    Floats y = load(norm.weight.data() + i) * ((load(x + i) - mean) * scale);
    if (bias) y += load(bias + i);
    if (is_bf16) store_bf16((uint16_t*)out + i, y);
    else store((float*)out + i, y);
  }
  for (; i < dim; ++i) {
    const float y = norm.weight[i] * ((x[i] - mean) * scale) + (bias ? bias[i] : 0.0f);
    if (is_bf16) ((uint16_t*)out)[i] = to_bf16(y);
    else ((float*)out)[i] = y;
  }
}

// Turns coordinate k with k + d / 2 (interleaved pairs are brought there when weights are packed).
static inline void rotate(float* head, int head_dim, const float* cosines, const float* sines) {
  const int half = head_dim / 2;
  int i = 0;
  for (; i + LANES <= half; i += LANES) {
    const Floats a = load(head + i), b = load(head + half + i), c = load(cosines + i), s = load(sines + i);
    store(head + i, a * c - b * s);
    store(head + half + i, b * c + a * s);
  }
  for (; i < half; ++i) {
    const float a = head[i], b = head[half + i];
    head[i] = a * cosines[i] - b * sines[i];
    head[half + i] = b * cosines[i] + a * sines[i];
  }
}

static inline void norm_head(const Vector& weight, float* head, int head_dim) {
  float squares = 0.0f;
  for (int i = 0; i < head_dim; ++i) squares += head[i] * head[i];
  const float scale = 1.0f / std::sqrt(squares / float(head_dim) + 1e-6f);
  for (int i = 0; i < head_dim; ++i) head[i] *= scale * weight[i];
}

static inline void multiply(Member& me, const Matrix& m, int rows, char* const* x, char* const* y, Results to) {
  me.each(num_tasks(m, rows), [&](int task) { multiply_task(m, task, rows, x, y, to); });
}

static inline void turn_tables(Stack& s, const Batch& batch, int row) {
  const int half = s.head_dim / 2;
  const double position = batch.group ? row % batch.group : batch.position[row];
  for (int i = 0; i < half; ++i) {
    s.cosines[size_t(row) * half + i] = float(std::cos(position * s.frequencies[i]));
    s.sines[size_t(row) * half + i] = float(std::sin(position * s.frequencies[i]));
  }
}

template <class Kept>
static inline Kept* block_part(const Stack& s, const Batch& batch, int row, size_t layer, int head, int block) {
  const int64_t* table = batch.tables + size_t(batch.sequence[row]) * batch.table_width;
  return (Kept*)table[block % batch.table_width] + (layer * s.num_kv_heads + head) * head_numbers(s.head_dim);
}

static inline void turn_head(const Stack& s, const Vector& norm, float* head, int row, bool is_turned) {
  if (!norm.empty()) norm_head(norm, head, s.head_dim);
  const size_t at = size_t(row) * (s.head_dim / 2);
  if (is_turned) rotate(head, s.head_dim, s.cosines.data() + at, s.sines.data() + at);
}

// Norms and turns a key head of a row and the query heads that share it; stores key and value where a sequence keeps them.
template <class Kept>
static inline void prepare_head(Stack& s, const Layer& layer, const Batch& batch, size_t index, int row, int kv_head) {
  const int sharing = s.num_heads / s.num_kv_heads;
  float* heads = s.heads.floats(row);
  for (int h = kv_head * sharing; h < (kv_head + 1) * sharing; ++h)
    turn_head(s, layer.query_norm, heads + h * s.head_dim, row, h < s.num_rotary_heads);
  float* key = heads + (s.num_heads + kv_head) * s.head_dim;
  turn_head(s, layer.key_norm, key, row, kv_head < s.num_rotary_heads);
  if (batch.group) return;
  const int position = batch.position[row];
  Kept* part = block_part<Kept>(s, batch, row, index, kv_head, position / BLOCK);
  remember(part, position % BLOCK, s.head_dim, key, key + s.num_kv_heads * s.head_dim);
}

static inline void put_attended(Stack& s, int row, int head, const float* from) {
  char* to = s.attended.at[row];
  const int at = head * s.head_dim;
  if (!s.attended.is_bf16) return (void)std::memcpy((float*)to + at, from, size_t(s.head_dim) * 4);
  round_row((uint16_t*)to + at, from, s.head_dim);
}

// One span of rows of a sequence, with all query heads that share a key head. Where no other span needs
// this one's keys, they are prepared here, while they are near.
template <class Kept>
static inline void attend_span(Stack& s, const Batch& batch, size_t index, int kv_head, std::pair<int, int> span, bool prepares,
                               Vector& scratch) {
  for (int row = span.first; prepares && row < span.first + span.second; ++row)
    prepare_head<Kept>(s, s.layers[index], batch, index, row, kv_head);
  const int sharing = s.num_heads / s.num_kv_heads, window = s.layers[index].window;
  const float* queries[MAX_QUERIES];
  float* out[MAX_QUERIES];
  int first[MAX_QUERIES], end[MAX_QUERIES], row_of[MAX_QUERIES], head_of[MAX_QUERIES], count = 0;
  const auto flush = [&] {
    const auto block_of = [&](int block) { return block_part<Kept>(s, batch, span.first, index, kv_head, block); };
    attend(block_of, s.head_dim, count, queries, first, end, out, scratch);
    for (int q = 0; q < count; ++q) put_attended(s, row_of[q], head_of[q], out[q]);
    count = 0;
  };
  for (int row = span.first; row < span.first + span.second; ++row)
    for (int h = kv_head * sharing; h < (kv_head + 1) * sharing; ++h) {
      float* query = s.heads.floats(row) + h * s.head_dim;
      queries[count] = out[count] = query;  // the result takes the query's place: nobody needs it any more
      end[count] = batch.position[row] + 1;
      first[count] = window ? std::max(0, end[count] - window) : 0;
      row_of[count] = row, head_of[count] = h;
      if (++count == MAX_QUERIES) flush();
    }
  if (count) flush();
}

// A group of rows that all see each other: its keys and values are gathered into blocks of the thread's own.
static inline void attend_group(Stack& s, const Batch& batch, size_t index, int group, int from, int kv_head, Vector& scratch, Vector& own) {
  const int size = batch.group, blocks = (size + BLOCK - 1) / BLOCK, sharing = s.num_heads / s.num_kv_heads;
  own.resize(size_t(blocks) * head_numbers(s.head_dim));
  for (int i = 0; i < size; ++i) {
    const int row = group * size + i;
    prepare_head<float>(s, s.layers[index], batch, index, row, kv_head);
    const float* key = s.heads.floats(row) + (s.num_heads + kv_head) * s.head_dim;
    remember(own.data() + i / BLOCK * head_numbers(s.head_dim), i % BLOCK, s.head_dim, key, key + s.num_kv_heads * s.head_dim);
  }
  const auto block_of = [&](int block) { return own.data() + block * head_numbers(s.head_dim); };
  const int first[MAX_QUERIES] = {0};
  int end[MAX_QUERIES];
  std::fill(end, end + MAX_QUERIES, size);
  for (int head = kv_head * sharing; head < (kv_head + 1) * sharing; ++head)
    for (int i = from; i < size; i += MAX_QUERIES) {
      const float* queries[MAX_QUERIES];
      float* out[MAX_QUERIES];
      const int count = std::min(MAX_QUERIES, size - i);
      for (int q = 0; q < count; ++q) queries[q] = out[q] = s.heads.floats(group * size + i + q) + head * s.head_dim;
      attend(block_of, s.head_dim, count, queries, first, end, out, scratch);
      for (int q = 0; q < count; ++q) put_attended(s, group * size + i + q, head, out[q]);
    }
}

}  // namespace uniaudio

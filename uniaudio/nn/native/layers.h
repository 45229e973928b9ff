// One pass of packed rows through a stack.
#pragma once
#include "stack.h"

namespace uniaudio {

// How a layer's rows spread over its experts: assignments (row, choice) sorted by expert.
struct Routing {
  std::vector<int32_t> expert_of;   // per assignment
  std::vector<int32_t> sorted;      // assignments, an expert's side by side
  std::vector<int32_t> starts;      // per expert: where its assignments begin in `sorted`
  std::vector<std::pair<int32_t, int32_t>> up_tasks, down_tasks;  // expert and task of its product
  std::vector<char*> x, inner, mixed;  // rows by place in `sorted`
  Vector weights;                   // per assignment

  void resize(int wide, size_t num_experts) {
    expert_of.resize(wide), sorted.resize(wide), weights.resize(wide);
    x.resize(wide), inner.resize(wide), mixed.resize(wide);
    starts.resize(num_experts + 1);
  }
};

// Of the experts of a layer that are held here; all others are null.
static inline const Matrix& first_held(const std::vector<MatrixPointer>& experts) {
  return **std::find_if(experts.begin(), experts.end(), [](const MatrixPointer& m) { return m != nullptr; });
}

struct Pass {
  Stack& s;
  const Batch& batch;
  int rows;
  bool is_mixed = false;         // whether experts' results wait to be added to x
  bool spans_are_alone = false;  // whether no sequence has two spans
  bool has_failed = false;       // whether another rank did not answer
  std::vector<char*> kept_x, kept_attended;
  Routing routing;
  std::vector<Vector> scratch, own;  // one of each per thread

  Pass(Stack& stack, const Batch& b, int num_threads) : s(stack), batch(b), rows(b.num_rows), scratch(num_threads), own(num_threads) {
    const Layer& layer = s.layers[0];
    const bool bf16 = layer.out->takes_bf16();
    s.x.shape(rows, s.dim, false);
    s.normed.shape(rows, s.dim, bf16);
    s.heads.shape(rows, layer.query_key_value->num_out, false);
    s.attended.shape(rows, layer.out->num_in, bf16);
    s.cosines.resize(size_t(rows) * (s.head_dim / 2));
    s.sines.resize(size_t(rows) * (s.head_dim / 2));
    int inner = layer.up ? layer.up->num_results() : 0, wide = rows;
    if (layer.router) {
      s.shared.shape(rows, std::max(inner, 1), bf16);
      inner = first_held(layer.experts_up).num_results(), wide = rows * s.top_k;
      s.mixed.shape(wide, s.dim, false);
      routing.resize(wide, layer.experts_up.size());
    }
    s.inner.shape(wide, inner, bf16);
    if (batch.group) {
      for (int row = 0; row < rows; ++row)
        if (row % batch.group >= batch.group - batch.keep) kept_x.push_back(s.x.at[row]), kept_attended.push_back(s.attended.at[row]);
    } else {
      span_rows();
    }
  }

  // A few rows of one sequence go together, so that they share the reading of its keys.
  void span_rows() {
    s.spans.clear(), spans_are_alone = true;
    for (int row = 0; row < rows; ++row) {
      const bool goes_on = row > 0 && batch.sequence[row] == batch.sequence[row - 1] && s.spans.back().second < MAX_QUERIES;
      if (goes_on) {
        ++s.spans.back().second;
        continue;
      }
      spans_are_alone &= row == 0 || batch.sequence[row] != batch.sequence[row - 1];
      s.spans.push_back({row, 1});
    }
  }
};

// x += sum over the row's experts of weight * result, in the order of choice.
static inline void add_experts(Pass& pass, char* x_row, int row) {
  const int k = pass.s.top_k;
  float* x = (float*)x_row;
  for (int choice = 0; choice < k; ++choice) {
    const float* from = pass.s.mixed.floats(row * k + choice);
    const float weight = pass.routing.weights[row * k + choice];
    int i = 0;
    for (; i + LANES <= pass.s.dim; i += LANES) store(x + i, load(x + i) + load(from + i) * weight);
    for (; i < pass.s.dim; ++i) x[i] += from[i] * weight;
  }
}

template <class Kept>
static inline void attend_spans(Member& me, Pass& pass, size_t index) {
  Stack& s = pass.s;
  if (!pass.spans_are_alone)
    me.each(pass.rows * s.num_kv_heads, [&](int i) {
      prepare_head<Kept>(s, s.layers[index], pass.batch, index, i / s.num_kv_heads, i % s.num_kv_heads);
    });
  me.each(int(s.spans.size()) * s.num_kv_heads, [&](int i) {
    const auto span = s.spans[i / s.num_kv_heads];
    attend_span<Kept>(s, pass.batch, index, i % s.num_kv_heads, span, pass.spans_are_alone, pass.scratch[me.index]);
  });
}

static inline void attend_all(Member& me, Pass& pass, size_t index, bool is_last) {
  Stack& s = pass.s;
  const Batch& batch = pass.batch;
  if (!batch.group) return s.keeps_halves ? attend_spans<uint16_t>(me, pass, index) : attend_spans<float>(me, pass, index);
  const int from = is_last ? batch.group - batch.keep : 0;
  me.each(pass.rows / batch.group * s.num_kv_heads, [&](int i) {
    attend_group(s, batch, index, i / s.num_kv_heads, from, i % s.num_kv_heads, pass.scratch[me.index], pass.own[me.index]);
  });
}

// The row's experts and their weights, best first, from the router's logits.
static inline void choose_experts(Pass& pass, int row, int num_experts, float* logits) {
  const Stack& s = pass.s;
  float top = logits[0], total = 0.0f;
  for (int e = 1; e < num_experts; ++e) top = std::max(top, logits[e]);
  for (int e = 0; e < num_experts; ++e) total += logits[e] = std::exp(logits[e] - top);
  float chosen = 0.0f;
  for (int choice = 0; choice < s.top_k; ++choice) {
    const int best = int(std::max_element(logits, logits + num_experts) - logits);
    pass.routing.expert_of[row * s.top_k + choice] = best;
    chosen += pass.routing.weights[row * s.top_k + choice] = logits[best] / total;
    logits[best] = -1.0f;
  }
  if (s.normalize)
    for (int choice = 0; choice < s.top_k; ++choice) pass.routing.weights[row * s.top_k + choice] /= chosen;
}

static inline void route_row(Pass& pass, const Layer& layer, int row, Vector& scratch) {
  Stack& s = pass.s;
  const bool listens = layer.audio_router && pass.batch.is_audio && pass.batch.is_audio[row];
  const Matrix& router = listens ? *layer.audio_router : *layer.router;
  scratch.resize(s.dim + router.num_out);
  float* wide = scratch.data();
  norm_row(layer.feed_forward_norm, s.eps, s.dim, s.x.floats(row), s.normed.at[row], s.normed.is_bf16);
  if (s.normed.is_bf16) norm_row(layer.feed_forward_norm, s.eps, s.dim, s.x.floats(row), (char*)wide, false);
  const char* x = s.normed.is_bf16 ? (const char*)wide : s.normed.at[row];
  char* logits = (char*)(wide + s.dim);
  for (int task = 0; task < num_tasks(router, 1); ++task) multiply_task(router, task, 1, &x, &logits, {});
  choose_experts(pass, row, router.num_out, wide + s.dim);
}

// Sorts the assignments of experts that are held here; `mixed` says where the result of each assignment goes.
static inline void group_by_expert(Routing& r, const Layer& layer, int rows, int top_k, char* const* x, const Rows& inner, char* const* mixed) {
  const int num_experts = int(layer.experts_up.size()), wide = rows * top_k;
  std::fill(r.starts.begin(), r.starts.end(), 0);
  for (int a = 0; a < wide; ++a) r.starts[r.expert_of[a] + 1] += layer.experts_up[r.expert_of[a]] != nullptr;
  r.up_tasks.clear(), r.down_tasks.clear();
  for (int e = 0; e < num_experts; ++e) {
    const int count = r.starts[e + 1];
    for (int t = 0; count && t < num_tasks(*layer.experts_up[e], count); ++t) r.up_tasks.push_back({e, t});
    for (int t = 0; count && t < num_tasks(*layer.experts_down[e], count); ++t) r.down_tasks.push_back({e, t});
    r.starts[e + 1] += r.starts[e];
  }
  std::vector<int32_t> next(r.starts.begin(), r.starts.end() - 1);
  for (int a = 0; a < wide; ++a) {
    if (!layer.experts_up[r.expert_of[a]]) continue;
    const int place = next[r.expert_of[a]]++;
    r.sorted[place] = a;
    r.x[place] = x[a / top_k];
    r.inner[place] = inner.at[place];
    r.mixed[place] = mixed[a];
  }
}

static inline void expert_up(const Layer& layer, const Routing& r, int i, bool is_bf16) {
  const auto [e, task] = r.up_tasks[i];
  const int at = r.starts[e];
  multiply_task(*layer.experts_up[e], task, r.starts[e + 1] - at, r.x.data() + at, r.inner.data() + at, {STORE, is_bf16});
}

static inline void expert_down(const Layer& layer, const Routing& r, int i) {
  const auto [e, task] = r.down_tasks[i];
  const int at = r.starts[e];
  multiply_task(*layer.experts_down[e], task, r.starts[e + 1] - at, r.inner.data() + at, r.mixed.data() + at, {});
}

// Products of every expert with its rows; the shared expert's tasks come first.
static inline void multiply_experts(Member& me, Pass& pass, const Layer& layer) {
  Stack& s = pass.s;
  const Routing& r = pass.routing;
  const int shared_up = layer.up ? num_tasks(*layer.up, pass.rows) : 0;
  me.each(shared_up + int(r.up_tasks.size()), [&](int i) {
    if (i >= shared_up) return expert_up(layer, r, i - shared_up, s.inner.is_bf16);
    multiply_task(*layer.up, i, pass.rows, s.normed.from(0), s.shared.from(0), {STORE, s.inner.is_bf16});
  });
  const int shared_down = layer.down ? num_tasks(*layer.down, pass.rows) : 0;
  me.each(shared_down + int(r.down_tasks.size()), [&](int i) {
    if (i >= shared_down) return expert_down(layer, r, i - shared_down);
    multiply_task(*layer.down, i, pass.rows, s.shared.from(0), s.x.from(0), {ADD, false});
  });
}

static inline size_t stride_of(const Rows& rows) { return rows.at.size() > 1 ? rows.at[1] - rows.at[0] : 0; }

// Groups the rows for the experts held here, and has the other ranks begin with theirs.
static inline void begin_experts(Pass& pass, const Layer& layer, size_t index) {
  Stack& s = pass.s;
  Routing& r = pass.routing;
  group_by_expert(r, layer, pass.rows, s.top_k, s.normed.from(0), s.inner, s.mixed.from(0));
  pass.is_mixed = true;
  if (s.elsewhere.begin)
    pass.has_failed = s.elsewhere.begin(int(index), pass.rows, s.normed.at[0], stride_of(s.normed), r.expert_of.data(), s.mixed.floats(0), stride_of(s.mixed)) != 0;
}

// Results `(count, dim)` of the assignments whose experts are held here, in the order of assignment: what one rank does for another.
static inline void apply_held(Stack& s, size_t index, int rows, const char* x, const int32_t* experts, float* out, int num_threads) {
  const Layer& layer = s.layers[index];
  const Matrix& first = first_held(layer.experts_up);
  const int wide = rows * s.top_k;
  Routing r;
  r.resize(wide, layer.experts_up.size());
  r.expert_of.assign(experts, experts + wide);
  s.inner.shape(wide, first.num_results(), first.takes_bf16());
  std::vector<char*> from(rows), to(wide);
  for (int row = 0; row < rows; ++row) from[row] = const_cast<char*>(x) + size_t(row) * s.dim * (first.takes_bf16() ? 2 : 4);
  for (int a = 0; a < wide; ++a) {
    to[a] = (char*)out;
    if (layer.experts_up[experts[a]]) out += s.dim;
  }
  group_by_expert(r, layer, rows, s.top_k, from.data(), s.inner, to.data());
  run_on(num_threads, [&](Member& me) {
    me.each(int(r.up_tasks.size()), [&](int i) { expert_up(layer, r, i, s.inner.is_bf16); });
    me.each(int(r.down_tasks.size()), [&](int i) { expert_down(layer, r, i); });
  });
}

static inline void run_layer(Member& me, Pass& pass, size_t index) {
  Stack& s = pass.s;
  const Layer& layer = s.layers[index];
  const bool is_last = index + 1 == s.layers.size(), adds = pass.is_mixed;
  me.each(pass.rows, [&](int row) {
    if (adds) add_experts(pass, s.x.at[row], row);
    norm_row(layer.attention_norm, s.eps, s.dim, s.x.floats(row), s.normed.at[row], s.normed.is_bf16);
  });
  multiply(me, *layer.query_key_value, pass.rows, s.normed.from(0), s.heads.from(0), {});
  attend_all(me, pass, index, is_last);
  const bool leaves_out = pass.batch.group && is_last;
  const int rows = leaves_out ? int(pass.kept_x.size()) : pass.rows;
  char* const* x = leaves_out ? pass.kept_x.data() : s.x.from(0);
  multiply(me, *layer.out, rows, leaves_out ? pass.kept_attended.data() : s.attended.from(0), x, {ADD, false});
  if (layer.router) {
    me.each(rows, [&](int row) { route_row(pass, layer, row, pass.scratch[me.index]); });
    me.once([&] { begin_experts(pass, layer, index); });
    multiply_experts(me, pass, layer);
    // Members must not look at what one of them may just be changing: all go through the same calls.
    if (s.elsewhere.end) me.once([&] { pass.has_failed = pass.has_failed || s.elsewhere.end() != 0; });
    return;
  }
  me.each(rows, [&](int row) {
    norm_row(layer.feed_forward_norm, s.eps, s.dim, (const float*)x[row], s.normed.at[row], s.normed.is_bf16);
  });
  multiply(me, *layer.up, rows, s.normed.from(0), s.inner.from(0), {layer.up->is_gated ? STORE : s.activation, s.inner.is_bf16});
  multiply(me, *layer.down, rows, s.inner.from(0), x, {ADD, false});
}

// Rows `(num_rows, dim)` in `s.x` through all layers; the sequences' blocks are written.
static inline void run_layers(Member& me, Pass& pass) {
  for (size_t index = 0; index < pass.s.layers.size() && !pass.has_failed; ++index) run_layer(me, pass, index);
}

// From embeddings `(num_rows, dim)` to hidden states after the final norm; false where another rank did not answer.
static inline bool forward(Stack& s, const Batch& batch, int num_threads, const float* embeddings, float* out) {
  Pass pass(s, batch, num_threads);
  run_on(num_threads, [&](Member& me) {
    me.each(pass.rows, [&](int row) {
      std::memcpy(s.x.floats(row), embeddings + size_t(row) * s.dim, size_t(s.dim) * 4);
      turn_tables(s, batch, row);
    });
    run_layers(me, pass);
    me.each(pass.rows, [&](int row) {
      if (pass.is_mixed) add_experts(pass, s.x.at[row], row);
      norm_row(s.final_norm, s.eps, s.dim, s.x.floats(row), (char*)(out + size_t(row) * s.dim), false);
    });
  });
  return !pass.has_failed;
}

}  // namespace uniaudio

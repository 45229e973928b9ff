// The flow head's solver: from noise to a patch, for many sequences in one batch.
#pragma once
#include "layers.h"

namespace uniaudio {

struct FlowHead {
  Stack stack;
  MatrixPointer frames, condition, output;  // all take floats
  int patch_size, latent_dim;
};

// What one call brings, rows are sequences: float32, contiguous.
struct Patches {
  int count, num_steps;
  const float *conditions, *history, *initial, *steps;  // (B, H), (B, P, C), (B, P, C), (S - 1, B, P, C)
  const float *guidance, *spread, *times;               // (B), (B), (S + 1)
  const float* time_rows;                               // (S, D): the embedding of each step's time
  bool is_guided;                                       // whether any row needs the unconditional velocity
  float* out;                                           // (B, P, C)
  float* trace;                                         // (S, B, P, C): the state after each step, before its noise; or null
};

// Constant while a patch is solved: the condition's and the history's embeddings.
struct Constants {
  Rows leads, history, latents, velocity;
  std::vector<char*> condition_at, history_at, latents_at, x_at;
  Vector zeros;
};

static inline void embed_constants(Member& me, FlowHead& head, const Patches& p, Constants& c) {
  const int branches = p.is_guided ? 2 : 1;
  multiply(me, *head.condition, p.count * branches, c.condition_at.data(), c.leads.from(0), {});
  multiply(me, *head.frames, p.count * head.patch_size, c.history_at.data(), c.history.from(0), {});
}

// The input of the blocks: [time + condition, history, patch] for every sequence, both branches.
static inline void lay_rows(Member& me, FlowHead& head, const Patches& p, Constants& c, int step) {
  Stack& s = head.stack;
  const int group = 1 + 2 * head.patch_size, half = p.count;
  me.each(p.count * (p.is_guided ? 2 : 1), [&](int g) {
    float* lead = s.x.floats(g * group);
    const float *time = p.time_rows + size_t(step) * s.dim, *condition = c.leads.floats(g);
    for (int i = 0; i < s.dim; ++i) lead[i] = time[i] + condition[i];
    for (int i = 0; i < head.patch_size; ++i)
      std::memcpy(s.x.floats(g * group + 1 + i), c.history.floats(g % half * head.patch_size + i), size_t(s.dim) * 4);
  });
  // The patch's embedding is the same in both branches; it is computed twice, being small.
  multiply(me, *head.frames, int(c.x_at.size()), c.latents_at.data(), c.x_at.data(), {});
}

static inline void step_patch(FlowHead& head, const Patches& p, Constants& c, int step, int b) {
  const int size = head.patch_size * head.latent_dim, width = head.latent_dim;
  const float delta = p.times[step + 1] - p.times[step];
  const float* noise = step + 1 < p.num_steps ? p.steps + (size_t(step) * p.count + b) * size : nullptr;
  const float spread = p.spread[b] * std::sqrt(delta);
  for (int i = 0; i < head.patch_size; ++i) {
    const float* given = c.velocity.floats(b * head.patch_size + i);
    const float* free = p.is_guided ? c.velocity.floats((p.count + b) * head.patch_size + i) : given;
    float* x = c.latents.floats(b * head.patch_size + i);
    for (int d = 0; d < width; ++d) {
      const float velocity = p.is_guided ? free[d] + p.guidance[b] * (given[d] - free[d]) : given[d];
      x[d] += delta * velocity;
      if (p.trace) p.trace[(size_t(step) * p.count + b) * size + i * width + d] = x[d];
      if (noise) x[d] += spread * noise[i * width + d];
    }
  }
}

static inline void solve(FlowHead& head, const Patches& p, int num_threads) {
  Stack& s = head.stack;
  const int branches = p.is_guided ? 2 : 1, patch = head.patch_size, width = head.latent_dim, group = 1 + 2 * patch;
  const size_t hidden = head.condition->num_in;
  Batch batch;
  batch.num_rows = p.count * branches * group, batch.group = group, batch.keep = patch;
  Pass pass(s, batch, num_threads);
  Constants c;
  c.leads.shape(p.count * branches, s.dim, false);
  c.history.shape(p.count * patch, s.dim, false);
  c.latents.shape(p.count * patch, width, false);
  c.velocity.shape(p.count * branches * patch, width, false);
  c.zeros.assign(hidden, 0.0f);
  s.mixed.shape(p.count * branches * patch, s.dim, false);
  for (int g = 0; g < p.count * branches; ++g) {
    c.condition_at.push_back(g < p.count ? (char*)(p.conditions + g * hidden) : (char*)c.zeros.data());
    for (int i = 0; i < patch; ++i) {
      c.latents_at.push_back(c.latents.at[g % p.count * patch + i]);
      c.x_at.push_back(s.x.at[g * group + 1 + patch + i]);
    }
  }
  for (int i = 0; i < p.count * patch; ++i) {
    c.history_at.push_back((char*)(p.history + size_t(i) * width));
    std::memcpy(c.latents.floats(i), p.initial + size_t(i) * width, size_t(width) * 4);
  }
  run_on(num_threads, [&](Member& me) {
    me.each(batch.num_rows, [&](int row) { turn_tables(s, batch, row); });
    embed_constants(me, head, p, c);
    for (int step = 0; step < p.num_steps; ++step) {
      lay_rows(me, head, p, c, step);
      run_layers(me, pass);
      me.each(int(pass.kept_x.size()), [&](int row) {
        norm_row(s.final_norm, s.eps, s.dim, (float*)pass.kept_x[row], s.mixed.at[row], false);
      });
      multiply(me, *head.output, int(pass.kept_x.size()), s.mixed.from(0), c.velocity.from(0), {});
      me.each(p.count, [&](int b) { step_patch(head, p, c, step, b); });
    }
  });
  for (int i = 0; i < p.count * patch; ++i) std::memcpy(p.out + size_t(i) * width, c.latents.floats(i), size_t(width) * 4);
}

}  // namespace uniaudio

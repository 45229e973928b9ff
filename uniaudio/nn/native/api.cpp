// What Python calls, through ctypes: plain C names, pointers and integers. Every function that can
// run out of memory says so by a null pointer or a non-zero number.
#include "flow.h"

using namespace uniaudio;

namespace {

enum VectorName { ATTENTION_NORM, ATTENTION_NORM_BIAS, FEED_FORWARD_NORM, FEED_FORWARD_NORM_BIAS, QUERY_NORM, KEY_NORM, FINAL_NORM, FINAL_NORM_BIAS };
enum MatrixName { QUERY_KEY_VALUE, OUT, UP, DOWN, ROUTER, AUDIO_ROUTER, EXPERT_UP, EXPERT_DOWN };

template <class Function>
auto guarded(Function f, decltype(f()) when_out_of_memory) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return when_out_of_memory;
  }
}

}  // namespace

extern "C" {

int ua_has_bf16() {
#if defined(__AVX512BF16__)
  return 1;
#else
  return 0;
#endif
}

Matrix* ua_pack(int kind, int num_out, int num_in, int is_gated, const float* from, const float* bias) {
  return guarded([&] { return pack(kind, num_out, num_in, is_gated != 0, from, bias); }, (Matrix*)nullptr);
}

void ua_free_matrix(Matrix* m) { delete m; }

// y (rows, num_results) = finish(norm(x) (rows, num_in) times the matrix, plus its bias). Without weights, no norm.
int ua_multiply(Matrix* m, int rows, const float* x, const float* norm_weight, float norm_eps, int finish, float* y, int num_threads) {
  return guarded([&] {
    std::vector<char*> to(rows);
    Rows from;
    Norm norm;
    from.shape(rows, m->num_in, m->takes_bf16());
    if (norm_weight) norm.weight.assign(norm_weight, norm_weight + m->num_in);
    for (int r = 0; r < rows; ++r) to[r] = (char*)(y + size_t(r) * m->num_results());
    run_on(num_threads, [&](Member& me) {
      me.each(rows, [&](int r) {
        const float* row = x + size_t(r) * m->num_in;
        if (norm_weight) norm_row(norm, norm_eps, m->num_in, row, from.at[r], from.is_bf16);
        else if (from.is_bf16) round_row((uint16_t*)from.at[r], row, m->num_in);
        else std::memcpy(from.at[r], row, size_t(m->num_in) * 4);
      });
      multiply(me, *m, rows, from.from(0), to.data(), {Finish(finish), false});
    });
    return 0;
  }, 1);
}

// sizes: dim, heads, key heads, head_dim, layers, rotary heads, top_k, normalize, activation, experts, whether keys
// and values are kept in bfloat16; and a window per layer.
Stack* ua_new_stack(const int* sizes, const int* windows, float eps, const double* frequencies) {
  return guarded([&] {
    Stack* s = new Stack{};
    s->dim = sizes[0], s->num_heads = sizes[1], s->num_kv_heads = sizes[2], s->head_dim = sizes[3];
    s->num_rotary_heads = sizes[5], s->top_k = sizes[6], s->normalize = sizes[7] != 0, s->activation = Finish(sizes[8]);
    s->keeps_halves = sizes[10] != 0;
    s->eps = eps;
    s->frequencies.assign(frequencies, frequencies + s->head_dim / 2);
    s->layers.resize(sizes[4]);
    for (Layer& layer : s->layers) {
      layer.experts_up.resize(sizes[9]), layer.experts_down.resize(sizes[9]);
      layer.window = *windows++;
    }
    return s;
  }, (Stack*)nullptr);
}

void ua_free_stack(Stack* s) { delete s; }

int ua_set_vector(Stack* s, int layer, int name, const float* from, int count) {
  return guarded([&] {
    Layer& l = s->layers[layer];
    Vector* places[] = {&l.attention_norm.weight, &l.attention_norm.bias, &l.feed_forward_norm.weight, &l.feed_forward_norm.bias,
                        &l.query_norm, &l.key_norm, &s->final_norm.weight, &s->final_norm.bias};
    places[name]->assign(from, from + count);
    return 0;
  }, 1);
}

// The stack becomes the matrix's owner.
void ua_set_matrix(Stack* s, int layer, int name, int expert, Matrix* m) {
  Layer& l = s->layers[layer];
  MatrixPointer* places[] = {&l.query_key_value, &l.out, &l.up, &l.down, &l.router, &l.audio_router};
  if (name == EXPERT_UP) l.experts_up[expert].reset(m);
  else if (name == EXPERT_DOWN) l.experts_down[expert].reset(m);
  else places[name]->reset(m);
}

long long ua_block_bytes(const Stack* s) { return (long long)(s->layers.size() * s->num_kv_heads * head_numbers(s->head_dim) * (s->keeps_halves ? 2 : 4)); }

int ua_forward(Stack* s, int num_rows, const float* embeddings, const int32_t* sequence, const int32_t* position, const int64_t* tables,
               int table_width, const uint8_t* is_audio, float* out, int num_threads) {
  return guarded([&] {
    Batch batch;
    batch.num_rows = num_rows, batch.sequence = sequence, batch.position = position, batch.tables = tables;
    batch.table_width = table_width, batch.is_audio = is_audio;
    return forward(*s, batch, num_threads, embeddings, out) ? 0 : 2;
  }, 1);
}

// Has the stack's layers ask other ranks for the experts that were not set; see `Elsewhere`.
void ua_set_elsewhere(Stack* s, decltype(Elsewhere::begin) begin, decltype(Elsewhere::end) end) { s->elsewhere = {begin, end}; }

int ua_apply_held(Stack* s, int layer, int num_rows, const char* x, const int32_t* experts, float* out, int num_threads) {
  return guarded([&] {
    apply_held(*s, layer, num_rows, x, experts, out, num_threads);
    return 0;
  }, 1);
}

// The head becomes the owner of the stack's content and of the matrices; `s` is gone afterwards.
FlowHead* ua_new_flow_head(Stack* s, Matrix* frames, Matrix* condition, Matrix* output, int patch_size, int latent_dim) {
  return guarded([&] {
    FlowHead* head = new FlowHead{std::move(*s), MatrixPointer(frames), MatrixPointer(condition), MatrixPointer(output), patch_size, latent_dim};
    delete s;
    return head;
  }, (FlowHead*)nullptr);
}

void ua_free_flow_head(FlowHead* head) { delete head; }

int ua_solve(FlowHead* head, int count, int num_steps, const float* conditions, const float* history, const float* initial, const float* steps,
             const float* guidance, const float* spread, const float* times, const float* time_rows, int is_guided, float* out,
             float* trace, int num_threads) {
  return guarded([&] {
    const Patches patches{count, num_steps, conditions, history, initial, steps, guidance, spread, times, time_rows, is_guided != 0, out, trace};
    solve(*head, patches, num_threads);
    return 0;
  }, 1);
}

}  // extern "C"

// A few threads that run one function together, with barriers inside it.
#pragma once
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace uniaudio {

static inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Threads wait here for work by spinning a little, then asleep, so that an idle engine costs nothing.
class Team {
 public:
  explicit Team(int size) : size(size), owner_(getpid()) {
    for (int i = 1; i < size; ++i) std::thread([this, i] { serve(i); }).detach();
  }

  // A fork has none of its parent's threads.
  bool has_threads() const { return owner_ == getpid(); }

  template <class Function>
  void run(Function&& body) {
    for (auto& counter : counters) counter.store(0, std::memory_order_relaxed);
    if (size == 1) return body(0);
    job_ = [&body](int member) { body(member); };
    left_.store(size - 1, std::memory_order_relaxed);
    order_.fetch_add(1, std::memory_order_release);
    order_.notify_all();
    body(0);
    for (int spins = 0; left_.load(std::memory_order_acquire) != 0; ++spins) pause(spins);
  }

  void barrier() {
    if (size == 1) return;
    const int seen = turn_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      turn_.store(seen + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; turn_.load(std::memory_order_acquire) == seen; ++spins) pause(spins);
  }

  const int size;
  std::atomic<int> counters[4];

 private:
  static void pause(int spins) {
    relax();
    if (spins > 4000) sched_yield();
  }

  void serve(int member) {
    uint32_t done = 0;
    for (;;) {
      for (int spins = 0; spins < 4000 && order_.load(std::memory_order_acquire) == done; ++spins) relax();
      order_.wait(done, std::memory_order_acquire);
      done = order_.load(std::memory_order_acquire);
      job_(member);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  const pid_t owner_;
  std::function<void(int)> job_;
  std::atomic<uint32_t> order_{0};
  std::atomic<int> left_{0}, arrived_{0}, turn_{0};
};

// One member's view of a run; all members go through the same calls.
struct Member {
  Team& team;
  const int index;
  int phase = 0;

  // Calls f(i) for every i below count, shared out as members come free, and waits for all of them.
  template <class Function>
  void each(int count, Function f) {
    if (team.size == 1) {
      for (int i = 0; i < count; ++i) f(i);
      return;
    }
    // A counter is cleared one phase before its use: nobody can still be in its last one, three phases ago.
    if (index == 0) team.counters[(phase + 1) & 3].store(0, std::memory_order_relaxed);
    auto& counter = team.counters[phase & 3];
    for (int i; (i = counter.fetch_add(1, std::memory_order_relaxed)) < count;) f(i);
    ++phase;
    team.barrier();
  }

  template <class Function>
  void once(Function f) {
    if (index == 0) f();
    team.barrier();
  }
};

// The team of a size, the same each time. It is never deleted: its threads live as long as the process.
inline Team& team_of(int size) {
  static std::map<int, Team*> teams;
  Team*& team = teams[size];
  if (team == nullptr || !team->has_threads()) team = new Team(size);
  return *team;
}

// Runs `body(member)` on `num_threads` threads; one run at a time in a process.
template <class Function>
void run_on(int num_threads, Function body) {
  static std::mutex one_at_a_time;
  std::lock_guard<std::mutex> guard(one_at_a_time);
  Team& team = team_of(num_threads);
  team.run([&](int index) {
    Member member{team, index};
    body(member);
  });
}

}  // namespace uniaudio

// Tasks on XLA's own threads, and vectors of eight floats.
//
// What a task computes depends on its number alone, never on the thread or on
// how many there are, so that results are the same bits on every run.

#ifndef LAYERNAS_NATIVE_PARALLEL_H_
#define LAYERNAS_NATIVE_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "xla/ffi/api/ffi.h"

namespace layernas {

constexpr int64_t kLanes = 8;

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vector Load(const float* from) {
  return *reinterpret_cast<const Vector*>(from);
}

inline void Store(float* to, Vector value) {
  *reinterpret_cast<Vector*>(to) = value;
}

// The first `lanes` floats, zeros behind them.
inline Vector LoadPart(const float* from, int64_t lanes) {
  Vector value = {};
  std::memcpy(&value, from, lanes * sizeof(float));
  return value;
}

inline void StorePart(float* to, Vector value, int64_t lanes) {
  std::memcpy(to, &value, lanes * sizeof(float));
}

inline Vector LoadSome(const float* from, int64_t lanes) {
  return lanes == kLanes ? Load(from) : LoadPart(from, lanes);
}

inline void StoreSome(float* to, Vector value, int64_t lanes) {
  if (lanes == kLanes) {
    Store(to, value);
  } else {
    StorePart(to, value, lanes);
  }
}

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Floats for one task, aligned to a cache line, not initialised.
class Scratch {
 public:
  explicit Scratch(int64_t floats)
      : data_(static_cast<float*>(::operator new(
            std::max<int64_t>(floats, 1) * sizeof(float), kAlignment))) {}
  ~Scratch() { ::operator delete(data_, kAlignment); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* get() { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  float* data_;
};

// Runs task(0) to task(count - 1), each once, and returns when all are done.
//
// The caller works too, and waits only for tasks that another thread has begun:
// a pool whose threads are all in here still goes on.
template <typename Task>
void RunTasks(xla::ffi::ThreadPool& pool, int64_t count, const Task& task) {
  const int64_t helpers =
      std::min<int64_t>(pool.num_threads(), count) - 1;
  if (helpers <= 0) {
    for (int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  struct State {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    int64_t done = 0;
  };
  auto state = std::make_shared<State>();
  // A helper that comes late finds no task left and does not touch `task`,
  // which lives only as long as this call.
  auto work = [state, count, &task] {
    int64_t finished = 0;
    for (int64_t i; (i = state->next.fetch_add(1)) < count; ++finished) {
      task(i);
    }
    if (finished > 0) {
      std::lock_guard<std::mutex> lock(state->mutex);
      state->done += finished;
      if (state->done == count) state->all_done.notify_all();
    }
  };
  for (int64_t i = 0; i < helpers; ++i) {
    auto copy = work;
    pool.Schedule(std::move(copy));
  }
  work();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == count; });
}

}  // namespace layernas

#endif  // LAYERNAS_NATIVE_PARALLEL_H_

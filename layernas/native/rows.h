// Features as rows (positions x filters), cut into tasks and summed by filter.

#ifndef LAYERNAS_NATIVE_ROWS_H_
#define LAYERNAS_NATIVE_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

#include "parallel.h"

namespace layernas {

// Rows beside each other in memory taken as one wide row, so that it consists of
// whole vectors and is long enough for sums to stay apart; and the cut of all
// rows into tasks. Both depend on the shape alone.
struct Rows {
  int64_t filters, size, width, per_task;

  Rows(int64_t size, int64_t filters) : filters(filters), size(size) {
    constexpr int64_t kWidth = 128, kTasks = 16, kFloats = 16384;
    width = std::lcm(filters, kLanes);
    width *= CeilDivide(kWidth, width);
    per_task = CeilDivide(
        std::max(CeilDivide(size, kTasks), std::min(size, kFloats)), width);
    per_task = std::max<int64_t>(per_task, 1) * width;
  }
  int64_t tasks() const { return CeilDivide(size, per_task); }
  int64_t begin(int64_t task) const { return task * per_task; }
  int64_t end(int64_t task) const {
    return std::min(begin(task) + per_task, size);
  }
};

// A value per filter, repeated over a wide row.
class Repeated {
 public:
  template <typename Value>
  Repeated(const Rows& rows, const Value& value)
      : data_(new float[rows.width]) {
    for (int64_t c = 0; c < rows.filters; ++c) data_[c] = value(c);
    for (int64_t i = rows.filters; i < rows.width; ++i) {
      data_[i] = data_[i - rows.filters];
    }
  }
  const float* data() const { return data_.get(); }
  float at(int64_t filter) const { return data_[filter]; }

 private:
  std::unique_ptr<float[]> data_;
};

// Calls visit(offset, place in the wide row, lanes) for all vectors of a task.
// It is copied, so that stores can not be meant for what it captures.
template <typename Visit>
inline void ForVectors(const Rows& all, int64_t task, const Visit& visitor) {
  const Rows rows = all;
  const Visit visit = visitor;
  const int64_t end = rows.end(task);
  int64_t row = rows.begin(task);
  for (; row + rows.width <= end; row += rows.width) {
    for (int64_t i = 0; i < rows.width; i += kLanes) {
      visit(row + i, i, kLanes);
    }
  }
  for (int64_t i = 0; row + i < end; i += kLanes) {
    visit(row + i, i, std::min(kLanes, end - row - i));
  }
}

// Writes value(offset, place in the wide row, lanes) of all vectors.
template <typename Value>
void ForEach(const Rows& rows, xla::ffi::ThreadPool& pool, const Value& value,
             float* to) {
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    ForVectors(rows, task, [to, value](int64_t at, int64_t i, int64_t lanes) {
      StoreSome(to + at, value(at, i, lanes), lanes);
    });
  });
}

// Floats that are read ahead. The processor does that alone within one array,
// too late where several are read or where there is much to do in between.
constexpr int64_t kAhead = 2048;

// Two sums over all rows of every filter, times `factor`. terms(offset, place,
// lanes, a, b) adds the terms of a vector to a and b. In the order of memory:
// several rows at once would spare loads and stores of sums, but are read more
// slowly where they are not in the cache.
template <typename Terms>
void TwoSums(const Rows& rows, xla::ffi::ThreadPool& pool, float factor,
             float* first, float* second, const Terms& terms) {
  const int64_t filters = rows.filters, width = rows.width;
  Scratch partial(rows.tasks() * 2 * filters);
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    Scratch wide(2 * width);
    float* sums = wide.get();
    std::fill(sums, sums + 2 * width, 0.0f);
    ForVectors(rows, task, [terms, sums, width](int64_t at, int64_t i,
                                                int64_t lanes) {
      Vector a = Load(sums + i), b = Load(sums + width + i);
      terms(at, i, lanes, &a, &b);
      Store(sums + i, a);
      Store(sums + width + i, b);
    });
    float* to = partial.get() + task * 2 * filters;
    for (int64_t c = 0; c < filters; ++c) {
      float a = 0.0f, b = 0.0f;
      for (int64_t i = c; i < width; i += filters) {
        a += sums[i];
        b += sums[width + i];
      }
      to[c] = a;
      to[filters + c] = b;
    }
  });
  for (int64_t c = 0; c < filters; ++c) {
    float a = 0.0f, b = 0.0f;
    for (int64_t task = 0; task < rows.tasks(); ++task) {
      a += partial.get()[task * 2 * filters + c];
      b += partial.get()[(task * 2 + 1) * filters + c];
    }
    first[c] = a * factor;
    second[c] = b * factor;
  }
}

using Floats = xla::ffi::Buffer<xla::ffi::F32>;
using Result = xla::ffi::ResultBuffer<xla::ffi::F32>;

inline Rows RowsOf(const Floats& x) {
  return Rows(x.element_count(), x.dimensions().back());
}

}  // namespace layernas

#endif  // LAYERNAS_NATIVE_ROWS_H_

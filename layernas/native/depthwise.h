// Parts of the depthwise convolution of float32 NHWC, SAME padding, and of its
// gradients.
//
// A row of an array is copied once, padded, to eight filters beside each other;
// the rows that a row of the result meets stay in a ring in the cache. All loops
// then run over whole vectors without any test for a border.

#ifndef LAYERNAS_NATIVE_DEPTHWISE_H_
#define LAYERNAS_NATIVE_DEPTHWISE_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "parallel.h"
#include "rows.h"

namespace layernas {

struct Shape {
  int64_t batch, height, width, filters;      // of the input
  int64_t out_height, out_width;              // of the output
  int64_t side, stride, low_row, low_column;  // kernel, padding before
  int64_t blocks;                             // of kLanes filters
};

inline int64_t LowPadding(int64_t size, int64_t out, int64_t side,
                          int64_t stride) {
  return std::max<int64_t>((out - 1) * stride + side - size, 0) / 2;
}

inline Shape MakeShape(xla::ffi::AnyBuffer::Dimensions input, int64_t side,
                       int64_t stride) {
  Shape s;
  s.batch = input[0];
  s.height = input[1];
  s.width = input[2];
  s.filters = input[3];
  s.side = side;
  s.stride = stride;
  s.out_height = CeilDivide(s.height, stride);
  s.out_width = CeilDivide(s.width, stride);
  s.low_row = LowPadding(s.height, s.out_height, side, stride);
  s.low_column = LowPadding(s.width, s.out_width, side, stride);
  s.blocks = CeilDivide(s.filters, kLanes);
  return s;
}

// Images and bands of rows, so that there are tasks for all threads also where
// the batch is small. The cut depends on the shape alone.
struct Bands {
  int64_t batch, rows, per_image, height;

  Bands(int64_t batch, int64_t rows) : batch(batch), rows(rows) {
    constexpr int64_t kTasks = 16;
    height = std::max<int64_t>(
        CeilDivide(rows, std::max<int64_t>(kTasks / batch, 1)), 1);
    per_image = CeilDivide(rows, height);
  }
  int64_t count() const { return batch * per_image; }
  int64_t image(int64_t task) const { return task / per_image; }
  int64_t begin(int64_t task) const { return task % per_image * height; }
  int64_t end(int64_t task) const {
    return std::min(begin(task) + height, rows);
  }
};

// What a ring holds of an array: the array itself.
struct Plain {
  const float* x;

  Vector operator()(int64_t at, int64_t, int64_t lanes) const {
    return LoadSome(x + at, lanes);
  }

  void Prefetch(int64_t at) const { __builtin_prefetch(x + at); }
};

// The last rows of one image, padded with zeros, eight filters beside each
// other. source(offset, filter, lanes) computes a vector of the array.
template <typename Source>
class Ring {
 public:
  // Of an image of `width` pixels of `filters` that begins at `image`, `rows`
  // rows of `pitch` pixels, of which `before` are zeros in front.
  Ring(const Source& source, int64_t image, int64_t height, int64_t width,
       int64_t filters, int64_t rows, int64_t before, int64_t pitch)
      : source_(source), image_(image), height_(height), width_(width),
        filters_(filters), before_(before), pitch_(pitch),
        size_(CeilDivide(filters, kLanes) * pitch * kLanes),
        data_(rows * size_), held_(rows, -1) {}

  // Row `row` of the image, which lies in it.
  const float* Row(int64_t row) {
    const int64_t slot = row % static_cast<int64_t>(held_.size());
    float* place = data_.get() + slot * size_;
    if (held_[slot] != row) {
      Copy(image_ + row * width_ * filters_, place);
      held_[slot] = row;
    }
    return place;
  }

  bool Has(int64_t row) const { return row >= 0 && row < height_; }

 private:
  void Copy(int64_t from, float* to) const {
    // Copies, which stores can not be meant for.
    const Source source = source_;
    const int64_t filters = filters_, width = width_, before = before_;
    const int64_t whole = filters / kLanes, rest = filters % kLanes;
    const int64_t block_size = pitch_ * kLanes;
    for (float *row = to, *end = to + size_; row < end; row += block_size) {
      std::fill(row, row + before * kLanes, 0.0f);
      std::fill(row + (before + width) * kLanes, row + block_size, 0.0f);
    }
    for (int64_t x = 0; x < width; ++x) {
      const int64_t pixel = from + x * filters;
      float* place = to + (before + x) * kLanes;
      for (int64_t block = 0; block < whole; ++block) {
        const int64_t i = block * kLanes;
        source.Prefetch(pixel + i + kAhead);
        Store(place + block * block_size, source(pixel + i, i, kLanes));
      }
      if (rest > 0) {
        const int64_t i = whole * kLanes;
        Store(place + whole * block_size, source(pixel + i, i, rest));
      }
    }
  }

  const Source& source_;
  int64_t image_, height_, width_, filters_, before_, pitch_, size_;
  Scratch data_;
  std::vector<int64_t> held_;
};

// The kernel, each block's weights beside each other: [block][tap][lane].
inline void PackKernel(const float* kernel, int64_t taps, int64_t filters,
                       float* packed) {
  for (int64_t block = 0; block * kLanes < filters; ++block) {
    const int64_t lanes = std::min(kLanes, filters - block * kLanes);
    for (int64_t tap = 0; tap < taps; ++tap) {
      Store(packed + (block * taps + tap) * kLanes,
            LoadPart(kernel + tap * filters + block * kLanes, lanes));
    }
  }
}

// One tap row: where it lies, its weights, the distance between both's taps.
struct TapRow {
  const float* pixels;
  const float* weights;
};

// kTile pixels of one block: the sums over `taps` taps of each of `rows`.
// Tap j reads pixel x * kStep + j * tap_step and weight j * weight_step.
template <int64_t kTile, int64_t kStep>
inline void Tile(const TapRow* rows, int64_t count, int64_t taps,
                 int64_t tap_step, int64_t weight_step, int64_t x,
                 Vector* sums) {
  Vector total[kTile] = {};
  for (int64_t row = 0; row < count; ++row) {
    const float* pixels = rows[row].pixels + x * kStep * kLanes;
    const float* weights = rows[row].weights;
    for (int64_t j = 0; j < taps; ++j) {
      const Vector weight = Load(weights + j * weight_step * kLanes);
      const float* pixel = pixels + j * tap_step * kLanes;
      for (int64_t t = 0; t < kTile; ++t) {
        total[t] += Load(pixel + t * kStep * kLanes) * weight;
      }
    }
  }
  for (int64_t t = 0; t < kTile; ++t) sums[t] = total[t];
}

// A row of `width` pixels of one block; write(x, sum) takes each.
template <int64_t kStep, typename Write>
inline void SumRow(const TapRow* rows, int64_t count, int64_t taps,
                   int64_t tap_step, int64_t weight_step, int64_t width,
                   const Write& write) {
  int64_t x = 0;
  auto tiles = [&](auto size) {
    constexpr int64_t kTile = decltype(size)::value;
    Vector sums[kTile];
    for (; width - x >= kTile; x += kTile) {
      Tile<kTile, kStep>(rows, count, taps, tap_step, weight_step, x, sums);
      for (int64_t t = 0; t < kTile; ++t) write(x + t, sums[t]);
    }
  };
  tiles(std::integral_constant<int64_t, 8>());
  tiles(std::integral_constant<int64_t, 4>());
  tiles(std::integral_constant<int64_t, 2>());
  tiles(std::integral_constant<int64_t, 1>());
}

// Two sums of every filter, which each task adds up on its own.
class Sums {
 public:
  Sums(int64_t tasks, int64_t filters)
      : tasks_(tasks), filters_(filters), data_(tasks * 2 * filters) {
    std::fill(data_.get(), data_.get() + tasks * 2 * filters, 0.0f);
  }

  // To the sums of the filters from `filter` on.
  void Add(int64_t task, int64_t filter, Vector a, Vector b) {
    float* first = data_.get() + task * 2 * filters_ + filter;
    float* second = first + filters_;
    Store(first, Load(first) + a);
    Store(second, Load(second) + b);
  }

  // The first `filters` filters' sums of all tasks in their order, times
  // `factor`.
  void Write(int64_t filters, float factor, float* first, float* second) {
    for (int64_t c = 0; c < filters; ++c) {
      float a = 0.0f, b = 0.0f;
      for (int64_t task = 0; task < tasks_; ++task) {
        a += data_.get()[task * 2 * filters_ + c];
        b += data_.get()[(task * 2 + 1) * filters_ + c];
      }
      first[c] = a * factor;
      second[c] = b * factor;
    }
  }

 private:
  int64_t tasks_, filters_;
  Scratch data_;
};

}  // namespace layernas

#endif  // LAYERNAS_NATIVE_DEPTHWISE_H_

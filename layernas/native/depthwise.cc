// Depthwise convolution of float32 NHWC, SAME padding: output, gradient of the
// input, gradient of the kernel.
//
// A row of the input is copied once, padded, to eight filters beside each
// other; the rows that a row of the output meets stay in a ring in the cache.
// All loops below then run over whole vectors without any test for a border.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

struct Shape {
  int64_t batch, height, width, filters;      // of the input
  int64_t out_height, out_width;              // of the output
  int64_t side, stride, low_row, low_column;  // kernel, padding before
  int64_t blocks;                             // of kLanes filters
};

int64_t LowPadding(int64_t size, int64_t out, int64_t side, int64_t stride) {
  return std::max<int64_t>((out - 1) * stride + side - size, 0) / 2;
}

Shape MakeShape(ffi::AnyBuffer::Dimensions input, int64_t side,
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

// Copies `columns` pixels of `filters` filters to blocks of kLanes filters,
// `before` zero pixels in front, `pitch` pixels per block in all.
void CopyRow(const float* from, int64_t columns, int64_t filters,
             int64_t before, int64_t pitch, float* to) {
  const int64_t whole = filters / kLanes, rest = filters % kLanes;
  for (int64_t block = 0; block < whole + (rest > 0); ++block) {
    float* row = to + block * pitch * kLanes;
    std::fill(row, row + before * kLanes, 0.0f);
    const int64_t end = before + columns;
    std::fill(row + end * kLanes, row + pitch * kLanes, 0.0f);
  }
  for (int64_t x = 0; x < columns; ++x) {
    const float* pixel = from + x * filters;
    float* place = to + (before + x) * kLanes;
    for (int64_t block = 0; block < whole; ++block) {
      Store(place + block * pitch * kLanes, Load(pixel + block * kLanes));
    }
    if (rest > 0) {
      Store(place + whole * pitch * kLanes,
            LoadPart(pixel + whole * kLanes, rest));
    }
  }
}

// The last rows of one image, padded and in blocks.
class Ring {
 public:
  Ring(const float* image, int64_t height, int64_t width, int64_t filters,
       int64_t rows, int64_t before, int64_t pitch)
      : image_(image), height_(height), width_(width), filters_(filters),
        before_(before), pitch_(pitch),
        size_(CeilDivide(filters, kLanes) * pitch * kLanes),
        data_(rows * size_), held_(rows, -1) {}

  // Row `row` of the image, which lies in it.
  const float* Row(int64_t row) {
    const int64_t slot = row % static_cast<int64_t>(held_.size());
    float* place = data_.get() + slot * size_;
    if (held_[slot] != row) {
      CopyRow(image_ + row * width_ * filters_, width_, filters_, before_,
              pitch_, place);
      held_[slot] = row;
    }
    return place;
  }

  bool Has(int64_t row) const { return row >= 0 && row < height_; }
  int64_t pitch() const { return pitch_; }

 private:
  const float* image_;
  int64_t height_, width_, filters_, before_, pitch_, size_;
  Scratch data_;
  std::vector<int64_t> held_;
};

// The kernel, each block's weights beside each other: [block][tap][lane].
void PackKernel(const float* kernel, int64_t taps, int64_t filters,
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

// A row of `width` pixels of one block, written `to_step` floats apart.
template <int64_t kStep>
void SumRow(const TapRow* rows, int64_t count, int64_t taps, int64_t tap_step,
            int64_t weight_step, int64_t width, int64_t lanes, float* to,
            int64_t to_step) {
  Vector sums[8];
  int64_t x = 0;
  auto write = [&](int64_t pixels) {
    for (int64_t t = 0; t < pixels; ++t) {
      float* place = to + (x + t) * to_step;
      if (lanes == kLanes) {
        Store(place, sums[t]);
      } else {
        StorePart(place, sums[t], lanes);
      }
    }
    x += pixels;
  };
  while (width - x >= 8) {
    Tile<8, kStep>(rows, count, taps, tap_step, weight_step, x, sums);
    write(8);
  }
  if (width - x >= 4) {
    Tile<4, kStep>(rows, count, taps, tap_step, weight_step, x, sums);
    write(4);
  }
  if (width - x >= 2) {
    Tile<2, kStep>(rows, count, taps, tap_step, weight_step, x, sums);
    write(2);
  }
  if (width - x >= 1) {
    Tile<1, kStep>(rows, count, taps, tap_step, weight_step, x, sums);
    write(1);
  }
}

void Forward(const Shape& s, ffi::ThreadPool& pool, const float* input,
             const float* kernel, float* output) {
  const int64_t taps = s.side * s.side;
  Scratch packed(s.blocks * taps * kLanes);
  PackKernel(kernel, taps, s.filters, packed.get());
  const int64_t pitch =
      std::max((s.out_width - 1) * s.stride + s.side, s.low_column + s.width);
  const Bands bands(s.batch, s.out_height);
  RunTasks(pool, bands.count(), [&](int64_t task) {
    const int64_t image = bands.image(task);
    Ring ring(input + image * s.height * s.width * s.filters, s.height, s.width,
              s.filters, s.side, s.low_column, pitch);
    std::vector<TapRow> rows(s.side);
    for (int64_t y = bands.begin(task); y < bands.end(task); ++y) {
      float* to =
          output + (image * s.out_height + y) * s.out_width * s.filters;
      int64_t count = 0;
      for (int64_t i = 0; i < s.side; ++i) {
        const int64_t row = y * s.stride + i - s.low_row;
        if (!ring.Has(row)) continue;
        rows[count++] = {ring.Row(row), packed.get() + i * s.side * kLanes};
      }
      for (int64_t block = 0; block < s.blocks; ++block) {
        const int64_t lanes = std::min(kLanes, s.filters - block * kLanes);
        auto sum = s.stride == 1 ? SumRow<1> : SumRow<2>;
        sum(rows.data(), count, s.side, 1, 1, s.out_width, lanes,
            to + block * kLanes, s.filters);
        for (int64_t i = 0; i < count; ++i) {
          rows[i].pixels += pitch * kLanes;
          rows[i].weights += taps * kLanes;
        }
      }
    }
  });
}

// Pixel (y, x) of the input meets tap (i, j) in the output's pixel
// ((y + low - i) / stride, (x + low - j) / stride) where both divide. Columns
// of one remainder meet the same taps, in pixels beside each other.
void InputGradient(const Shape& s, ffi::ThreadPool& pool, const float* gradient,
                   const float* kernel, float* result) {
  const int64_t taps = s.side * s.side;
  Scratch packed(s.blocks * taps * kLanes);
  PackKernel(kernel, taps, s.filters, packed.get());
  // Zero pixels on both sides of the gradient's row, as many as any tap needs.
  const int64_t before = s.side;
  const int64_t pitch = before + s.out_width + s.side;
  const Bands bands(s.batch, s.height);
  RunTasks(pool, bands.count(), [&](int64_t task) {
    const int64_t image = bands.image(task);
    Ring ring(gradient + image * s.out_height * s.out_width * s.filters,
              s.out_height, s.out_width, s.filters, s.side, before, pitch);
    std::vector<TapRow> rows(s.side), shifted(s.side);
    for (int64_t y = bands.begin(task); y < bands.end(task); ++y) {
      float* to = result + (image * s.height + y) * s.width * s.filters;
      int64_t count = 0;
      for (int64_t i = 0; i < s.side; ++i) {
        const int64_t place = y + s.low_row - i;
        if (place < 0 || place % s.stride || !ring.Has(place / s.stride)) {
          continue;
        }
        rows[count++] = {ring.Row(place / s.stride),
                         packed.get() + i * s.side * kLanes};
      }
      for (int64_t first = 0; first < std::min(s.stride, s.width); ++first) {
        // Taps j, j + stride, ... read one pixel less each.
        const int64_t j = (first + s.low_column) % s.stride;
        const int64_t start = (first + s.low_column - j) / s.stride + before;
        const int64_t used = j < s.side ? CeilDivide(s.side - j, s.stride) : 0;
        const int64_t width = CeilDivide(s.width - first, s.stride);
        for (int64_t block = 0; block < s.blocks; ++block) {
          const int64_t lanes = std::min(kLanes, s.filters - block * kLanes);
          for (int64_t i = 0; i < count; ++i) {
            shifted[i] = {
                rows[i].pixels + (block * pitch + start) * kLanes,
                rows[i].weights + (block * taps + j) * kLanes,
            };
          }
          SumRow<1>(shifted.data(), count, used, -1, s.stride, width, lanes,
                    to + first * s.filters + block * kLanes,
                    s.stride * s.filters);
        }
      }
    }
  });
}

// Adds a row's products to the sums of kRows x kSide taps.
template <int64_t kRows, int64_t kSide, int64_t kStep>
inline void AddProducts(const float* const* rows, const float* gradient,
                        int64_t width, float* const* sums) {
  Vector total[kRows][kSide] = {};
  for (int64_t x = 0; x < width; ++x) {
    const Vector g = Load(gradient + x * kLanes);
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < kSide; ++j) {
        total[i][j] += Load(rows[i] + (x * kStep + j) * kLanes) * g;
      }
    }
  }
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kSide; ++j) {
      float* sum = sums[i] + j * kLanes;
      Store(sum, Load(sum) + total[i][j]);
    }
  }
}

// As many rows at once as their sums fit the registers.
template <int64_t kRows, int64_t kSide, int64_t kStep>
void AddRows(const float* const* rows, int64_t count, const float* gradient,
             int64_t width, float* const* sums) {
  int64_t i = 0;
  for (; count - i >= kRows; i += kRows) {
    AddProducts<kRows, kSide, kStep>(rows + i, gradient, width, sums + i);
  }
  for (; i < count; ++i) {
    AddProducts<1, kSide, kStep>(rows + i, gradient, width, sums + i);
  }
}

using AddRowsFunction = void (*)(const float* const*, int64_t, const float*,
                                 int64_t, float* const*);

template <int64_t kStep>
AddRowsFunction SelectAddRows(int64_t side) {
  switch (side) {
    case 3: return AddRows<3, 3, kStep>;
    case 5: return AddRows<2, 5, kStep>;
    default: return AddRows<1, 7, kStep>;
  }
}

void KernelGradient(const Shape& s, ffi::ThreadPool& pool, const float* input,
                    const float* gradient, float* result) {
  const int64_t taps = s.side * s.side;
  const int64_t size = s.blocks * taps * kLanes;
  const int64_t pitch =
      std::max((s.out_width - 1) * s.stride + s.side, s.low_column + s.width);
  // Sums of a task are added up in the order of the tasks.
  const int64_t images = CeilDivide(s.batch, 16);
  const Bands bands(CeilDivide(s.batch, images), s.out_height);
  Scratch partial(bands.count() * size);
  const AddRowsFunction add =
      s.stride == 1 ? SelectAddRows<1>(s.side) : SelectAddRows<2>(s.side);
  RunTasks(pool, bands.count(), [&](int64_t task) {
    float* sums = partial.get() + task * size;
    std::fill(sums, sums + size, 0.0f);
    Scratch row(s.blocks * s.out_width * kLanes);
    const int64_t first = bands.image(task) * images;
    for (int64_t image = first;
         image < std::min(first + images, s.batch); ++image) {
      Ring ring(input + image * s.height * s.width * s.filters, s.height,
                s.width, s.filters, s.side, s.low_column, pitch);
      for (int64_t y = bands.begin(task); y < bands.end(task); ++y) {
        CopyRow(gradient + (image * s.out_height + y) * s.out_width * s.filters,
                s.out_width, s.filters, 0, s.out_width, row.get());
        const float* rows[7];
        float* row_sums[7];
        int64_t count = 0;
        for (int64_t i = 0; i < s.side; ++i) {
          const int64_t at = y * s.stride + i - s.low_row;
          if (!ring.Has(at)) continue;
          rows[count] = ring.Row(at);
          row_sums[count++] = sums + i * s.side * kLanes;
        }
        for (int64_t block = 0; block < s.blocks; ++block) {
          add(rows, count, row.get() + block * s.out_width * kLanes,
              s.out_width, row_sums);
          for (int64_t i = 0; i < count; ++i) {
            rows[i] += pitch * kLanes;
            row_sums[i] += taps * kLanes;
          }
        }
      }
    }
  });
  for (int64_t block = 0; block < s.blocks; ++block) {
    const int64_t lanes = std::min(kLanes, s.filters - block * kLanes);
    for (int64_t tap = 0; tap < taps; ++tap) {
      Vector total = {};
      for (int64_t task = 0; task < bands.count(); ++task) {
        total += Load(partial.get() + task * size +
                      (block * taps + tap) * kLanes);
      }
      StorePart(result + tap * s.filters + block * kLanes, total, lanes);
    }
  }
}

using Floats = ffi::Buffer<ffi::F32>;

ffi::Error Output(ffi::ThreadPool pool, Floats input, Floats kernel,
                  ffi::ResultBuffer<ffi::F32> output, int64_t stride) {
  Forward(MakeShape(input.dimensions(), kernel.dimensions()[0], stride), pool,
          input.typed_data(), kernel.typed_data(), output->typed_data());
  return ffi::Error::Success();
}

ffi::Error InputGradientCall(ffi::ThreadPool pool, Floats gradient,
                             Floats kernel,
                             ffi::ResultBuffer<ffi::F32> result,
                             int64_t stride) {
  InputGradient(
      MakeShape(result->dimensions(), kernel.dimensions()[0], stride), pool,
      gradient.typed_data(), kernel.typed_data(), result->typed_data());
  return ffi::Error::Success();
}

ffi::Error KernelGradientCall(ffi::ThreadPool pool, Floats input,
                              Floats gradient,
                              ffi::ResultBuffer<ffi::F32> result,
                              int64_t stride) {
  KernelGradient(
      MakeShape(input.dimensions(), result->dimensions()[0], stride), pool,
      input.typed_data(), gradient.typed_data(), result->typed_data());
  return ffi::Error::Success();
}

}  // namespace
}  // namespace layernas

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_depthwise, layernas::Output,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_depthwise_input_gradient, layernas::InputGradientCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_depthwise_kernel_gradient, layernas::KernelGradientCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride"));

// Depthwise convolution: of an array, or of the batch norm and activation of an
// array, which then are never in memory. With the latter the means of the output
// and of its square, for the next batch norm.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "activations.h"
#include "depthwise.h"
#include "norm.h"
#include "parallel.h"
#include "rows.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

// `mean` and `mean_square` of the output, unless they are null.
template <typename Source>
void Forward(const Shape& shape, ffi::ThreadPool& pool, const Source& source,
             const float* kernel, float* output, float* mean,
             float* mean_square) {
  const Shape s = shape;
  const int64_t taps = s.side * s.side, size = s.blocks * kLanes;
  Scratch packed(s.blocks * taps * kLanes);
  PackKernel(kernel, taps, s.filters, packed.get());
  const int64_t pitch =
      std::max((s.out_width - 1) * s.stride + s.side, s.low_column + s.width);
  const Bands bands(s.batch, s.out_height);
  Sums sums(bands.count(), size);
  RunTasks(pool, bands.count(), [&](int64_t task) {
    // A copy, which stores can not be meant for.
    const Shape s = shape;
    const int64_t image = bands.image(task);
    Ring<Source> ring(source, image * s.height * s.width * s.filters, s.height,
                      s.width, s.filters, s.side, s.low_column, pitch);
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
        float* place = to + block * kLanes;
        Vector a = {}, b = {};
        auto write = [&](int64_t x, Vector sum) {
          StoreSome(place + x * s.filters, sum, lanes);
          a += sum;
          b += sum * sum;
        };
        if (s.stride == 1) {
          SumRow<1>(rows.data(), count, s.side, 1, 1, s.out_width, write);
        } else {
          SumRow<2>(rows.data(), count, s.side, 1, 1, s.out_width, write);
        }
        sums.Add(task, block * kLanes, a, b);
        for (int64_t i = 0; i < count; ++i) {
          rows[i].pixels += pitch * kLanes;
          rows[i].weights += taps * kLanes;
        }
      }
    }
  });
  if (mean == nullptr) return;
  sums.Write(s.filters, 1.0f / (s.batch * s.out_height * s.out_width), mean,
             mean_square);
}

ffi::Error PlainCall(ffi::ThreadPool pool, Floats input, Floats kernel,
                     Result output, int64_t stride) {
  Forward(MakeShape(input.dimensions(), kernel.dimensions()[0], stride), pool,
          Plain{input.typed_data()}, kernel.typed_data(), output->typed_data(),
          nullptr, nullptr);
  return ffi::Error::Success();
}

ffi::Error NormedCall(ffi::ThreadPool pool, Floats x, Floats mean,
                      Floats square, Floats scale, Floats bias, Floats kernel,
                      Result output, Result output_mean, Result output_square,
                      int64_t stride, int64_t activation, float epsilon) {
  const Affine affine =
      AffineOf(RowsOf(x), mean, square, scale, bias, epsilon);
  return WithActivation(activation, [&](auto kind) {
    Forward(MakeShape(x.dimensions(), kernel.dimensions()[0], stride), pool,
            Normalised<decltype(kind)::value>{{x.typed_data(), affine}},
            kernel.typed_data(), output->typed_data(),
            output_mean->typed_data(), output_square->typed_data());
  });
}

}  // namespace
}  // namespace layernas

// input, kernel.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_depthwise, layernas::PlainCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride"));

// x; its mean, mean square, scale, bias; kernel. Results: output, its mean and
// mean square.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_normed_depthwise, layernas::NormedCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride")
        .Attr<int64_t>("activation")
        .Attr<float>("epsilon"));

// Gradients of the depthwise convolution, of input and kernel in one pass.
//
// Of an array and the gradient of the output; or with the batch norms and
// activations on both sides: what the convolution received and the gradient of
// its output are then computed row by row from what the norms received.

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

// finish(offset, filter, lanes, gradient, a, b) makes of the gradient of the
// convolution's input what is written to `result`, and adds terms of two sums
// to a and b, which are added up in `sums`. The other arguments as for Ring.
template <typename Source, typename Gradient, typename Finish>
class Backward {
 public:
  Backward(const Shape& shape, const Source& source, const Gradient& gradient,
           const Finish& finish, const float* kernel)
      : s_(shape), source_(source), gradient_(gradient), finish_(finish),
        taps_(s_.side * s_.side), images_(CeilDivide(s_.batch, 16)),
        // Zero pixels on both sides of the gradient, as many as any tap needs.
        pitch_(s_.side + s_.out_width + s_.side),
        input_pitch_(std::max((s_.out_width - 1) * s_.stride + s_.side,
                              s_.low_column + s_.width)),
        bands_(CeilDivide(s_.batch, images_), s_.out_height),
        kernel_(s_.blocks * taps_ * kLanes),
        kernel_sums_(bands_.count() * s_.blocks * taps_ * kLanes),
        sums_(bands_.count(), s_.blocks * kLanes),
        add_(s_.stride == 1 ? SelectAddRows<1>(s_.side)
                            : SelectAddRows<2>(s_.side)) {
    PackKernel(kernel, taps_, s_.filters, kernel_.get());
  }

  void Run(ffi::ThreadPool& pool, float* result, float* kernel_gradient) {
    RunTasks(pool, bands_.count(), [&](int64_t task) {
      float* sums = KernelSums(task);
      std::fill(sums, sums + s_.blocks * taps_ * kLanes, 0.0f);
      const int64_t first = bands_.image(task) * images_;
      for (int64_t image = first;
           image < std::min(first + images_, s_.batch); ++image) {
        RunImage(task, image, result);
      }
    });
    // In the order of the tasks.
    for (int64_t block = 0; block < s_.blocks; ++block) {
      const int64_t lanes = std::min(kLanes, s_.filters - block * kLanes);
      for (int64_t tap = 0; tap < taps_; ++tap) {
        Vector total = {};
        for (int64_t task = 0; task < bands_.count(); ++task) {
          total += Load(KernelSums(task) + (block * taps_ + tap) * kLanes);
        }
        StoreSome(kernel_gradient + tap * s_.filters + block * kLanes, total,
                  lanes);
      }
    }
  }

  Sums& sums() { return sums_; }

 private:
  float* KernelSums(int64_t task) {
    return kernel_sums_.get() + task * s_.blocks * taps_ * kLanes;
  }

  void RunImage(int64_t task, int64_t image, float* result) {
    const int64_t begin = image * s_.height * s_.width * s_.filters;
    Ring<Source> inputs(source_, begin, s_.height, s_.width, s_.filters,
                        s_.side, s_.low_column, input_pitch_);
    Ring<Gradient> gradients(
        gradient_, image * s_.out_height * s_.out_width * s_.filters,
        s_.out_height, s_.out_width, s_.filters, s_.side, s_.side, pitch_);
    for (int64_t y = bands_.begin(task); y < bands_.end(task); ++y) {
      const int64_t end = std::min((y + 1) * s_.stride, s_.height);
      KernelRow(inputs, gradients.Row(y) + s_.side * kLanes, y,
                KernelSums(task));
      for (int64_t row = y * s_.stride; row < end; ++row) {
        InputRow(gradients, row, begin + row * s_.width * s_.filters, task,
                 result);
      }
    }
  }

  // Adds the products of row `y` of the output's gradient.
  void KernelRow(Ring<Source>& inputs, const float* gradient, int64_t y,
                 float* sums) const {
    const float* rows[7];
    float* row_sums[7];
    int64_t count = 0;
    for (int64_t i = 0; i < s_.side; ++i) {
      const int64_t at = y * s_.stride + i - s_.low_row;
      if (!inputs.Has(at)) continue;
      rows[count] = inputs.Row(at);
      row_sums[count++] = sums + i * s_.side * kLanes;
    }
    for (int64_t block = 0; block < s_.blocks; ++block) {
      add_(rows, count, gradient + block * pitch_ * kLanes, s_.out_width,
           row_sums);
      for (int64_t i = 0; i < count; ++i) {
        rows[i] += input_pitch_ * kLanes;
        row_sums[i] += taps_ * kLanes;
      }
    }
  }

  // Pixel (y, x) of the input meets tap (i, j) in the output's pixel
  // ((y + low - i) / stride, (x + low - j) / stride) where both divide. Columns
  // of one remainder meet the same taps, in pixels beside each other.
  void InputRow(Ring<Gradient>& gradients, int64_t y, int64_t begin,
                int64_t task, float* result) {
    TapRow rows[7], shifted[7];
    // Copies, which stores can not be meant for.
    const Finish finish = finish_;
    const Shape s = s_;
    int64_t count = 0;
    for (int64_t i = 0; i < s_.side; ++i) {
      const int64_t place = y + s_.low_row - i;
      if (place < 0 || place % s_.stride || !gradients.Has(place / s_.stride)) {
        continue;
      }
      rows[count++] = {gradients.Row(place / s_.stride),
                       kernel_.get() + i * s_.side * kLanes};
    }
    for (int64_t first = 0; first < std::min(s_.stride, s_.width); ++first) {
      // Taps j, j + stride, ... read one pixel less each.
      const int64_t j = (first + s_.low_column) % s_.stride;
      const int64_t start = (first + s_.low_column - j) / s_.stride + s_.side;
      const int64_t used = j < s_.side ? CeilDivide(s_.side - j, s_.stride) : 0;
      const int64_t width = CeilDivide(s_.width - first, s_.stride);
      for (int64_t block = 0; block < s_.blocks; ++block) {
        const int64_t filter = block * kLanes;
        const int64_t lanes = std::min(kLanes, s_.filters - filter);
        for (int64_t i = 0; i < count; ++i) {
          shifted[i] = {rows[i].pixels + (block * pitch_ + start) * kLanes,
                        rows[i].weights + (block * taps_ + j) * kLanes};
        }
        Vector a = {}, b = {};
        const int64_t step = s.stride * s.filters;
        const int64_t from = begin + first * s.filters + filter;
        SumRow<1>(shifted, count, used, -1, s.stride, width,
                  [&](int64_t x, Vector sum) {
                    const int64_t at = from + x * step;
                    sum = finish(at, filter, lanes, sum, &a, &b);
                    StoreSome(result + at, sum, lanes);
                  });
        sums_.Add(task, filter, a, b);
      }
    }
  }

  const Shape s_;
  const Source source_;
  const Gradient gradient_;
  const Finish finish_;
  const int64_t taps_, images_, pitch_, input_pitch_;
  const Bands bands_;
  Scratch kernel_, kernel_sums_;
  Sums sums_;
  const AddRowsFunction add_;
};

ffi::Error PlainCall(ffi::ThreadPool pool, Floats input, Floats gradient,
                     Floats kernel, Result input_gradient,
                     Result kernel_gradient, int64_t stride) {
  auto finish = [](int64_t, int64_t, int64_t, Vector sum, Vector*, Vector*) {
    return sum;
  };
  Backward(MakeShape(input.dimensions(), kernel.dimensions()[0], stride),
           Plain{input.typed_data()}, Plain{gradient.typed_data()}, finish,
           kernel.typed_data())
      .Run(pool, input_gradient->typed_data(), kernel_gradient->typed_data());
  return ffi::Error::Success();
}

ffi::Error NormedCall(ffi::ThreadPool pool, Floats x, Floats mean,
                      Floats square, Floats scale, Floats bias, Floats kernel,
                      Floats y, Floats gradient, Floats y_mean, Floats y_square,
                      Floats y_scale, Floats y_bias, Floats y_bias_gradient,
                      Floats y_scale_gradient, Result result,
                      Result kernel_gradient, Result bias_gradient,
                      Result scale_gradient, int64_t stride, int64_t activation,
                      float epsilon) {
  const Affine affine =
      AffineOf(RowsOf(x), mean, square, scale, bias, epsilon);
  const Rows y_rows = RowsOf(y);
  const Affine y_affine =
      AffineOf(y_rows, y_mean, y_square, y_scale, y_bias, epsilon);
  const Shares shares(y_rows, y_affine, y_bias_gradient, y_scale_gradient);
  return WithActivation(activation, [&](auto kind) {
    constexpr Activation kActivation = decltype(kind)::value;
    const BeforeActivation<kActivation> before{{x.typed_data(), affine}};
    Backward backward(
        MakeShape(x.dimensions(), kernel.dimensions()[0], stride),
        Normalised<kActivation>{{x.typed_data(), affine}},
        NormGradient<kActivation>({y.typed_data(), y_affine},
                                  gradient.typed_data(), shares),
        before, kernel.typed_data());
    backward.Run(pool, result->typed_data(), kernel_gradient->typed_data());
    float* scales = scale_gradient->typed_data();
    const int64_t filters = x.dimensions().back();
    backward.sums().Write(filters, 1.0f, bias_gradient->typed_data(), scales);
    for (int64_t c = 0; c < filters; ++c) scales[c] *= affine.deviation.at(c);
  });
}

}  // namespace
}  // namespace layernas

// input, gradient of the output, kernel. Results: gradients of input and kernel.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_depthwise_gradients, layernas::PlainCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride"));

// x; its mean, mean square, scale, bias; kernel; the convolution's output y;
// gradient of y's activated norm; y's mean, mean square, scale, bias, and the
// gradients of scale and bias. Results: gradient of x's norm before its
// activation; gradients of kernel, bias, scale.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    layernas_normed_depthwise_gradients, layernas::NormedCall,
    xla::ffi::Ffi::Bind()
        .Ctx<xla::ffi::ThreadPool>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Arg<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Ret<layernas::Floats>()
        .Attr<int64_t>("stride")
        .Attr<int64_t>("activation")
        .Attr<float>("epsilon"));

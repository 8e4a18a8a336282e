// Batch norm with its activation on float32 rows (positions x filters).
//
// Passes that each read their inputs once: means of x and of its square; the
// normalised, activated output; backward the gradients of bias and scale, and
// that of x. Between them XLA averages a few vectors over devices.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <type_traits>

#include "parallel.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

// As layernas.models.batch_norm numbers them.
enum Activation : int64_t { kNone = 0, kRelu = 1, kRelu6 = 2, kHardSwish = 3 };

inline Vector Broadcast(float value) { return Vector{} + value; }

// Comparisons here leave NaN as it is.
inline Vector Clamp(Vector x, float low, float high) {
  x = x < low ? Broadcast(low) : x;
  return x > high ? Broadcast(high) : x;
}

template <Activation kActivation>
inline Vector Activate(Vector z) {
  switch (kActivation) {
    case kRelu: return z < 0.0f ? Vector{} : z;
    case kRelu6: return Clamp(z, 0.0f, 6.0f);
    case kHardSwish: return z * Clamp(z + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f);
    default: return z;
  }
}

// Gradient of z, where `gradient` is that of the activated z.
template <Activation kActivation>
inline Vector Deactivate(Vector z, Vector gradient) {
  switch (kActivation) {
    case kRelu: return z > 0.0f ? gradient : Vector{};
    case kRelu6:
      return (z > 0.0f) & (z < 6.0f) ? gradient : Vector{};
    case kHardSwish: {
      const Vector inside = gradient * (z * (1.0f / 3.0f) + 0.5f);
      const Vector below = z > -3.0f ? inside : Vector{};
      return z < 3.0f ? below : gradient;
    }
    default: return gradient;
  }
}

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
  Vector operator[](int64_t i) const { return Load(data_.get() + i); }
  float at(int64_t filter) const { return data_[filter]; }

 private:
  std::unique_ptr<float[]> data_;
};

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

// Calls visit(offset, place in the wide row, lanes) for all vectors of a task.
template <typename Visit>
inline void ForVectors(const Rows& rows, int64_t task, const Visit& visit) {
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

// Two sums over all rows of every filter, times `factor`. terms(offset, place,
// lanes, a, b) adds the terms of a vector to a and b.
template <typename Terms>
void TwoSums(const Rows& rows, ffi::ThreadPool& pool, float factor,
             float* first, float* second, const Terms& terms) {
  const int64_t filters = rows.filters;
  Scratch partial(rows.tasks() * 2 * filters);
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    Scratch wide(2 * rows.width);
    float* sums = wide.get();
    std::fill(sums, sums + 2 * rows.width, 0.0f);
    auto add = [&](int64_t i, Vector a, Vector b) {
      Store(sums + i, Load(sums + i) + a);
      float* other = sums + rows.width + i;
      Store(other, Load(other) + b);
    };
    const int64_t end = rows.end(task);
    int64_t row = rows.begin(task);
    for (; row + 4 * rows.width <= end; row += 4 * rows.width) {
      for (int64_t i = 0; i < rows.width; i += kLanes) {
        Vector a = {}, b = {};
        for (int64_t k = 0; k < 4; ++k) {
          terms(row + k * rows.width + i, i, kLanes, &a, &b);
        }
        add(i, a, b);
      }
    }
    for (; row < end; row += rows.width) {
      for (int64_t i = 0; i < rows.width && row + i < end; i += kLanes) {
        Vector a = {}, b = {};
        terms(row + i, i, std::min(kLanes, end - row - i), &a, &b);
        add(i, a, b);
      }
    }
    float* to = partial.get() + task * 2 * filters;
    for (int64_t c = 0; c < filters; ++c) {
      float a = 0.0f, b = 0.0f;
      for (int64_t i = c; i < rows.width; i += filters) {
        a += sums[i];
        b += sums[rows.width + i];
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

void Moments(const Rows& rows, ffi::ThreadPool& pool, const float* x,
             float* mean, float* mean_square) {
  const float factor = static_cast<float>(rows.filters) / rows.size;
  TwoSums(rows, pool, factor, mean, mean_square,
          [x](int64_t at, int64_t, int64_t lanes, Vector* a, Vector* b) {
            const Vector value = LoadSome(x + at, lanes);
            *a += value;
            *b += value * value;
          });
}

// What is normalised: (x - mean) * factor + bias, where factor is
// scale * deviation, and deviation one over the standard deviation.
struct Affine {
  Repeated mean, factor, bias, deviation;
};

template <Activation kActivation>
void Apply(const Rows& rows, ffi::ThreadPool& pool, const float* x,
           const Affine& f, float* y) {
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    ForVectors(rows, task, [&](int64_t at, int64_t i, int64_t lanes) {
      const Vector centred = LoadSome(x + at, lanes) - f.mean[i];
      const Vector z = centred * f.factor[i] + f.bias[i];
      StoreSome(y + at, Activate<kActivation>(z), lanes);
    });
  });
}

// A lane behind the end has no gradient, so that it adds nothing to the sums.
// Gradients of bias and scale. A lane behind the end has no gradient, so that
// it adds nothing.
template <Activation kActivation>
void ParameterGradients(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                        const float* gradient, const Affine& f, float* bias,
                        float* scale) {
  TwoSums(rows, pool, 1.0f, bias, scale,
          [&](int64_t at, int64_t i, int64_t lanes, Vector* a, Vector* b) {
            const Vector centred = LoadSome(x + at, lanes) - f.mean[i];
            const Vector z = centred * f.factor[i] + f.bias[i];
            const Vector dz =
                Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
            *a += dz;
            *b += dz * centred;
          });
  for (int64_t c = 0; c < rows.filters; ++c) scale[c] *= f.deviation.at(c);
}

// With the gradients of bias and scale, each divided by the number of rows:
// (dz - bias - (x - mean) * deviation * scale) * factor.
template <Activation kActivation>
void InputGradient(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                   const float* gradient, const Affine& f, const Repeated& bias,
                   const Repeated& slope, float* result) {
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    ForVectors(rows, task, [&](int64_t at, int64_t i, int64_t lanes) {
      const Vector centred = LoadSome(x + at, lanes) - f.mean[i];
      const Vector z = centred * f.factor[i] + f.bias[i];
      const Vector dz =
          Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
      StoreSome(result + at,
                (dz - bias[i] - centred * slope[i]) * f.factor[i], lanes);
    });
  });
}

using Floats = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

Rows RowsOf(const Floats& x) {
  return Rows(x.element_count(), x.dimensions().back());
}

// From the means of x and of its square, scale and bias.
Affine AffineOf(const Rows& rows, Floats& mean, Floats& square, Floats& scale,
                Floats& bias, float epsilon) {
  const float* means = mean.typed_data();
  const float* squares = square.typed_data();
  const float* scales = scale.typed_data();
  const float* biases = bias.typed_data();
  auto deviation = [=](int64_t c) {
    // Rounding may leave less than nothing of filters that are constant.
    const float variance = std::max(squares[c] - means[c] * means[c], 0.0f);
    return 1.0f / std::sqrt(variance + epsilon);
  };
  return {Repeated(rows, [=](int64_t c) { return means[c]; }),
          Repeated(rows, [=](int64_t c) { return scales[c] * deviation(c); }),
          Repeated(rows, [=](int64_t c) { return biases[c]; }),
          Repeated(rows, deviation)};
}

// Calls `run` with the activation as a constant.
template <typename Run>
ffi::Error WithActivation(int64_t activation, const Run& run) {
  switch (activation) {
    case kNone: run(std::integral_constant<Activation, kNone>()); break;
    case kRelu: run(std::integral_constant<Activation, kRelu>()); break;
    case kRelu6: run(std::integral_constant<Activation, kRelu6>()); break;
    case kHardSwish:
      run(std::integral_constant<Activation, kHardSwish>());
      break;
    default: return ffi::Error::InvalidArgument("unknown activation");
  }
  return ffi::Error::Success();
}

ffi::Error MomentsCall(ffi::ThreadPool pool, Floats x, Result mean,
                       Result mean_square) {
  Moments(RowsOf(x), pool, x.typed_data(), mean->typed_data(),
          mean_square->typed_data());
  return ffi::Error::Success();
}

ffi::Error ApplyCall(ffi::ThreadPool pool, Floats x, Floats mean, Floats square,
                     Floats scale, Floats bias, Result y, int64_t activation,
                     float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  return WithActivation(activation, [&](auto kind) {
    Apply<decltype(kind)::value>(rows, pool, x.typed_data(), affine,
                                 y->typed_data());
  });
}

ffi::Error ParameterGradientsCall(ffi::ThreadPool pool, Floats x,
                                  Floats gradient, Floats mean, Floats square,
                                  Floats scale, Floats bias,
                                  Result bias_gradient, Result scale_gradient,
                                  int64_t activation, float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  return WithActivation(activation, [&](auto kind) {
    ParameterGradients<decltype(kind)::value>(
        rows, pool, x.typed_data(), gradient.typed_data(), affine,
        bias_gradient->typed_data(), scale_gradient->typed_data());
  });
}

ffi::Error InputGradientCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                             Floats mean, Floats square, Floats scale,
                             Floats bias, Floats bias_gradient,
                             Floats scale_gradient, Result result,
                             int64_t activation, float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  const float share = static_cast<float>(rows.filters) / rows.size;
  const float* biases = bias_gradient.typed_data();
  const float* scales = scale_gradient.typed_data();
  const Repeated offset(rows, [=](int64_t c) { return biases[c] * share; });
  const Repeated slope(rows, [&](int64_t c) {
    return scales[c] * share * affine.deviation.at(c);
  });
  return WithActivation(activation, [&](auto kind) {
    InputGradient<decltype(kind)::value>(
        rows, pool, x.typed_data(), gradient.typed_data(), affine, offset,
        slope, result->typed_data());
  });
}

}  // namespace
}  // namespace layernas

XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_moments, layernas::MomentsCall,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<layernas::Floats>()
                                  .Ret<layernas::Floats>()
                                  .Ret<layernas::Floats>());

// x, mean, mean square, scale, bias.
XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise, layernas::ApplyCall,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Ret<layernas::Floats>()
                                  .Attr<int64_t>("activation")
                                  .Attr<float>("epsilon"));

// x, gradient, mean, mean square, scale, bias.
XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise_parameter_gradients,
                              layernas::ParameterGradientsCall,
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
                                  .Attr<int64_t>("activation")
                                  .Attr<float>("epsilon"));

// x, gradient, mean, mean square, scale, bias, gradients of bias and scale.
XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise_input_gradient,
                              layernas::InputGradientCall,
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
                                  .Ret<layernas::Floats>()
                                  .Attr<int64_t>("activation")
                                  .Attr<float>("epsilon"));

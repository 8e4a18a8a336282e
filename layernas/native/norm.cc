// Batch norm with its activation on float32 rows (positions x filters).
//
// Three passes that each read their inputs once: means of x and of its square;
// the normalised, activated output; backward the two sums of a filter that its
// gradient needs, and the gradient. What lies between the passes is a handful
// of vectors and stays in XLA, averages over devices too.

#include <algorithm>
#include <cstdint>
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
  Repeated(const Rows& rows, const float* values) : data_(rows.width) {
    for (int64_t i = 0; i < rows.width; i += rows.filters) {
      std::copy(values, values + rows.filters, data_.get() + i);
    }
  }
  Vector operator[](int64_t i) const { return Load(data_.get() + i); }

 private:
  mutable Scratch data_;
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

// What is normalised: (x - mean) * factor + bias.
struct Affine {
  Repeated mean, factor, bias;
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
template <Activation kActivation>
void GradientSums(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                  const float* gradient, const Affine& f, float* sum,
                  float* sum_centred) {
  TwoSums(rows, pool, 1.0f, sum, sum_centred,
          [&](int64_t at, int64_t i, int64_t lanes, Vector* a, Vector* b) {
            const Vector centred = LoadSome(x + at, lanes) - f.mean[i];
            const Vector z = centred * f.factor[i] + f.bias[i];
            const Vector dz =
                Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
            *a += dz;
            *b += dz * centred;
          });
}

// dz * factor - constant - (x - mean) * slope.
template <Activation kActivation>
void InputGradient(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                   const float* gradient, const Affine& f,
                   const Repeated& constant, const Repeated& slope,
                   float* result) {
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    ForVectors(rows, task, [&](int64_t at, int64_t i, int64_t lanes) {
      const Vector centred = LoadSome(x + at, lanes) - f.mean[i];
      const Vector z = centred * f.factor[i] + f.bias[i];
      const Vector dz =
          Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
      StoreSome(result + at,
                dz * f.factor[i] - constant[i] - centred * slope[i], lanes);
    });
  });
}

using Floats = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

Rows RowsOf(const Floats& x) {
  return Rows(x.element_count(), x.dimensions().back());
}

Affine AffineOf(const Rows& rows, Floats& mean, Floats& factor, Floats& bias) {
  return {Repeated(rows, mean.typed_data()),
          Repeated(rows, factor.typed_data()),
          Repeated(rows, bias.typed_data())};
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

ffi::Error ApplyCall(ffi::ThreadPool pool, Floats x, Floats mean, Floats factor,
                     Floats bias, Result y, int64_t activation) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, factor, bias);
  return WithActivation(activation, [&](auto kind) {
    Apply<decltype(kind)::value>(rows, pool, x.typed_data(), affine,
                                 y->typed_data());
  });
}

ffi::Error GradientSumsCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                            Floats mean, Floats factor, Floats bias, Result sum,
                            Result sum_centred, int64_t activation) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, factor, bias);
  return WithActivation(activation, [&](auto kind) {
    GradientSums<decltype(kind)::value>(
        rows, pool, x.typed_data(), gradient.typed_data(), affine,
        sum->typed_data(), sum_centred->typed_data());
  });
}

ffi::Error InputGradientCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                             Floats mean, Floats factor, Floats bias,
                             Floats constant, Floats slope, Result result,
                             int64_t activation) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, factor, bias);
  const Repeated offset(rows, constant.typed_data());
  const Repeated tilt(rows, slope.typed_data());
  return WithActivation(activation, [&](auto kind) {
    InputGradient<decltype(kind)::value>(
        rows, pool, x.typed_data(), gradient.typed_data(), affine, offset,
        tilt, result->typed_data());
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise, layernas::ApplyCall,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Ret<layernas::Floats>()
                                  .Attr<int64_t>("activation"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise_sums,
                              layernas::GradientSumsCall,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Arg<layernas::Floats>()
                                  .Ret<layernas::Floats>()
                                  .Ret<layernas::Floats>()
                                  .Attr<int64_t>("activation"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise_gradient,
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
                                  .Ret<layernas::Floats>()
                                  .Attr<int64_t>("activation"));

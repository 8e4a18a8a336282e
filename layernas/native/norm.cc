// Batch norm with its activation on float32 rows (positions x filters).
//
// Three passes that each read their inputs once: means of x and of its square;
// the normalised, activated output; backward the two sums of a filter that its
// gradient needs, and the gradient. What lies between the passes is a handful
// of vectors and stays in XLA, averages over devices too.

#include <algorithm>
#include <cstdint>

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

// Rows cut into tasks; the cut depends on the shape alone.
struct Rows {
  int64_t count, filters, per_task;

  Rows(int64_t count, int64_t filters) : count(count), filters(filters) {
    constexpr int64_t kTasks = 16, kFloats = 8192;
    per_task = std::max<int64_t>(
        {CeilDivide(count, kTasks), CeilDivide(kFloats, filters), 1});
  }
  int64_t tasks() const { return CeilDivide(count, per_task); }
  int64_t begin(int64_t task) const { return task * per_task; }
  int64_t end(int64_t task) const {
    return std::min(begin(task) + per_task, count);
  }
  // Rows of which all filters fit the first cache, with their gradient.
  int64_t in_cache() const {
    return std::max<int64_t>(2048 / filters, 4);
  }
};

// Calls visit(offset, lanes) for every vector of filters.
template <typename Visit>
inline void ForBlocks(int64_t filters, const Visit& visit) {
  int64_t c = 0;
  for (; c + kLanes <= filters; c += kLanes) visit(c, kLanes);
  if (c < filters) visit(c, filters - c);
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

// Two sums over all rows of every filter. `terms(offset, c, lanes)` gives both
// terms of the vector at `offset`, whose first filter is c.
template <typename Terms>
void TwoSums(const Rows& rows, ffi::ThreadPool& pool, float factor,
             float* first, float* second, const Terms& make_terms) {
  const int64_t filters = rows.filters;
  const int64_t padded = CeilDivide(filters, kLanes) * kLanes;
  Scratch partial(rows.tasks() * 2 * padded);
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    float* sums = partial.get() + task * 2 * padded;
    std::fill(sums, sums + 2 * padded, 0.0f);
    for (int64_t begin = rows.begin(task); begin < rows.end(task);
         begin += rows.in_cache()) {
      const int64_t end = std::min(begin + rows.in_cache(), rows.end(task));
      ForBlocks(filters, [&](int64_t c, int64_t lanes) {
        auto terms = make_terms(c, lanes);
        Vector a[2] = {}, b[2] = {};
        int64_t row = begin;
        for (; row + 2 <= end; row += 2) {
          terms(row * filters + c, &a[0], &b[0]);
          terms((row + 1) * filters + c, &a[1], &b[1]);
        }
        if (row < end) terms(row * filters + c, &a[0], &b[0]);
        Store(sums + c, Load(sums + c) + (a[0] + a[1]));
        Store(sums + padded + c, Load(sums + padded + c) + (b[0] + b[1]));
      });
    }
  });
  ForBlocks(filters, [&](int64_t c, int64_t lanes) {
    Vector a = {}, b = {};
    for (int64_t task = 0; task < rows.tasks(); ++task) {
      a += Load(partial.get() + task * 2 * padded + c);
      b += Load(partial.get() + (task * 2 + 1) * padded + c);
    }
    StoreSome(first + c, a * factor, lanes);
    StoreSome(second + c, b * factor, lanes);
  });
}

void Moments(const Rows& rows, ffi::ThreadPool& pool, const float* x,
             float* mean, float* mean_square) {
  TwoSums(rows, pool, 1.0f / rows.count, mean, mean_square,
          [x](int64_t, int64_t lanes) {
            return [x, lanes](int64_t at, Vector* a, Vector* b) {
              const Vector value = LoadSome(x + at, lanes);
              *a += value;
              *b += value * value;
            };
          });
}

// (x - mean) * factor + bias, and its parts.
struct Affine {
  Vector mean, factor, bias;

  Affine(const float* mean, const float* factor, const float* bias, int64_t c,
         int64_t lanes)
      : mean(LoadSome(mean + c, lanes)), factor(LoadSome(factor + c, lanes)),
        bias(LoadSome(bias + c, lanes)) {}
};

struct Vectors {
  const float *mean, *factor, *bias;
};

// Calls visit(task's row range, c, lanes) so that rows stay in the cache.
template <typename Visit>
void ForRowsInCache(const Rows& rows, ffi::ThreadPool& pool,
                    const Visit& visit) {
  RunTasks(pool, rows.tasks(), [&](int64_t task) {
    for (int64_t begin = rows.begin(task); begin < rows.end(task);
         begin += rows.in_cache()) {
      const int64_t end = std::min(begin + rows.in_cache(), rows.end(task));
      ForBlocks(rows.filters, [&](int64_t c, int64_t lanes) {
        visit(begin, end, c, lanes);
      });
    }
  });
}

template <Activation kActivation>
void Apply(const Rows& rows, ffi::ThreadPool& pool, const float* x,
           const Vectors& v, float* y) {
  ForRowsInCache(rows, pool, [&](int64_t begin, int64_t end, int64_t c,
                                 int64_t lanes) {
    const Affine f(v.mean, v.factor, v.bias, c, lanes);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * rows.filters + c;
      const Vector z = (LoadSome(x + at, lanes) - f.mean) * f.factor + f.bias;
      StoreSome(y + at, Activate<kActivation>(z), lanes);
    }
  });
}

template <Activation kActivation>
void GradientSums(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                  const float* gradient, const Vectors& v, float* sum,
                  float* sum_centred) {
  TwoSums(rows, pool, 1.0f, sum, sum_centred, [&](int64_t c, int64_t lanes) {
    const Affine f(v.mean, v.factor, v.bias, c, lanes);
    return [=](int64_t at, Vector* a, Vector* b) {
      const Vector centred = LoadSome(x + at, lanes) - f.mean;
      const Vector z = centred * f.factor + f.bias;
      const Vector dz =
          Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
      *a += dz;
      *b += dz * centred;
    };
  });
}

// dz * factor - constant - (x - mean) * slope.
template <Activation kActivation>
void InputGradient(const Rows& rows, ffi::ThreadPool& pool, const float* x,
                   const float* gradient, const Vectors& v,
                   const float* constant, const float* slope, float* result) {
  ForRowsInCache(rows, pool, [&](int64_t begin, int64_t end, int64_t c,
                                 int64_t lanes) {
    const Affine f(v.mean, v.factor, v.bias, c, lanes);
    const Vector offset = LoadSome(constant + c, lanes);
    const Vector tilt = LoadSome(slope + c, lanes);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * rows.filters + c;
      const Vector centred = LoadSome(x + at, lanes) - f.mean;
      const Vector z = centred * f.factor + f.bias;
      const Vector dz =
          Deactivate<kActivation>(z, LoadSome(gradient + at, lanes));
      StoreSome(result + at, dz * f.factor - offset - centred * tilt, lanes);
    }
  });
}

using Floats = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

Rows RowsOf(const Floats& x) {
  const int64_t filters = x.dimensions().back();
  return Rows(x.element_count() / std::max<int64_t>(filters, 1), filters);
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
  const Vectors v{mean.typed_data(), factor.typed_data(), bias.typed_data()};
  return WithActivation(activation, [&](auto constant) {
    Apply<decltype(constant)::value>(RowsOf(x), pool, x.typed_data(), v,
                                     y->typed_data());
  });
}

ffi::Error GradientSumsCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                            Floats mean, Floats factor, Floats bias, Result sum,
                            Result sum_centred, int64_t activation) {
  const Vectors v{mean.typed_data(), factor.typed_data(), bias.typed_data()};
  return WithActivation(activation, [&](auto constant) {
    GradientSums<decltype(constant)::value>(
        RowsOf(x), pool, x.typed_data(), gradient.typed_data(), v,
        sum->typed_data(), sum_centred->typed_data());
  });
}

ffi::Error InputGradientCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                             Floats mean, Floats factor, Floats bias,
                             Floats constant, Floats slope, Result result,
                             int64_t activation) {
  const Vectors v{mean.typed_data(), factor.typed_data(), bias.typed_data()};
  return WithActivation(activation, [&](auto kind) {
    InputGradient<decltype(kind)::value>(
        RowsOf(x), pool, x.typed_data(), gradient.typed_data(), v,
        constant.typed_data(), slope.typed_data(), result->typed_data());
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

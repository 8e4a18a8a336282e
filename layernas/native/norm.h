// Batch norm with its activation and their gradients, a vector at a time: of the
// number at `at` in the features, whose filter is the one at `i` in a wide row.

#ifndef LAYERNAS_NATIVE_NORM_H_
#define LAYERNAS_NATIVE_NORM_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "activations.h"
#include "parallel.h"
#include "rows.h"

namespace layernas {

// What is normalised: (x - mean) * factor + bias, where factor is
// scale * deviation, and deviation one over the standard deviation.
struct Affine {
  Repeated mean, factor, bias, deviation;
};

// From the means of x and of its square, scale and bias.
inline Affine AffineOf(const Rows& rows, const Floats& mean,
                       const Floats& square, const Floats& scale,
                       const Floats& bias, float epsilon) {
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

// The vectors of an Affine, as pointers: kept in registers where the affine
// itself might be overwritten by any store.
struct Norm {
  const float *x, *mean, *factor, *bias;

  Norm(const float* x, const Affine& f)
      : x(x), mean(f.mean.data()), factor(f.factor.data()),
        bias(f.bias.data()) {}

  Vector Centred(int64_t at, int64_t i, int64_t lanes) const {
    return LoadSome(x + at, lanes) - Load(mean + i);
  }
  Vector Shifted(Vector centred, int64_t i) const {
    return centred * Load(factor + i) + Load(bias + i);
  }
};

// The activated output.
template <Activation kActivation>
struct Normalised {
  Norm norm;

  Vector operator()(int64_t at, int64_t i, int64_t lanes) const {
    return Activate<kActivation>(norm.Shifted(norm.Centred(at, i, lanes), i));
  }
  void Prefetch(int64_t at) const { __builtin_prefetch(norm.x + at); }
};

// Makes the gradient of what is not activated yet of that of the output, and
// adds it, and it times x - mean, to a and b: terms of the gradients of bias
// and, but for the deviation, of scale.
template <Activation kActivation>
struct BeforeActivation {
  Norm norm;

  Vector operator()(int64_t at, int64_t i, int64_t lanes, Vector gradient,
                    Vector* a, Vector* b) const {
    const Vector centred = norm.Centred(at, i, lanes);
    const Vector dz =
        Deactivate<kActivation>(norm.Shifted(centred, i), gradient);
    *a += dz;
    *b += dz * centred;
    return dz;
  }
};

// What every position takes of the gradients of bias and scale: of the former
// one part of as many as there are positions; of the latter that times
// deviation.
struct Shares {
  Repeated bias, slope;

  Shares(const Rows& rows, const Affine& affine, const Floats& bias_gradient,
         const Floats& scale_gradient)
      : bias(rows, [&](int64_t c) {
          return bias_gradient.typed_data()[c] * rows.filters / rows.size;
        }),
        slope(rows, [&](int64_t c) {
          return scale_gradient.typed_data()[c] * rows.filters / rows.size *
                 affine.deviation.at(c);
        }) {}
};

// Gradient of x: (dz - bias - (x - mean) * slope) * factor.
template <Activation kActivation>
struct NormGradient {
  Norm norm;
  const float *gradient, *bias, *slope;

  NormGradient(const Norm& norm, const float* gradient, const Shares& shares)
      : norm(norm), gradient(gradient), bias(shares.bias.data()),
        slope(shares.slope.data()) {}

  Vector operator()(int64_t at, int64_t i, int64_t lanes) const {
    const Vector centred = norm.Centred(at, i, lanes);
    const Vector dz = Deactivate<kActivation>(
        norm.Shifted(centred, i), LoadSome(gradient + at, lanes));
    return (dz - Load(bias + i) - centred * Load(slope + i)) *
           Load(norm.factor + i);
  }
  void Prefetch(int64_t at) const {
    __builtin_prefetch(norm.x + at);
    __builtin_prefetch(gradient + at);
  }
};

}  // namespace layernas

#endif  // LAYERNAS_NATIVE_NORM_H_

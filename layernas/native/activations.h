// Activations and their gradients, on vectors.

#ifndef LAYERNAS_NATIVE_ACTIVATIONS_H_
#define LAYERNAS_NATIVE_ACTIVATIONS_H_

#include <cstdint>
#include <type_traits>

#include "parallel.h"

namespace layernas {

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

// Calls `run` with the activation as a constant.
template <typename Run>
xla::ffi::Error WithActivation(int64_t activation, const Run& run) {
  switch (activation) {
    case kNone: run(std::integral_constant<Activation, kNone>()); break;
    case kRelu: run(std::integral_constant<Activation, kRelu>()); break;
    case kRelu6: run(std::integral_constant<Activation, kRelu6>()); break;
    case kHardSwish:
      run(std::integral_constant<Activation, kHardSwish>());
      break;
    default: return xla::ffi::Error::InvalidArgument("unknown activation");
  }
  return xla::ffi::Error::Success();
}

}  // namespace layernas

#endif  // LAYERNAS_NATIVE_ACTIVATIONS_H_

// One optimiser step over all parameters, each number read and written once.
//
// Arguments: the learning rate; then for all leaves the gradients, the
// parameters, the momenta and, of RMSProp, the averages of the squared gradient.
// Results: 1 where a gradient is NaN or infinite, else 0; then parameters,
// momenta and averages, which may lie where the arguments do.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "parallel.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

struct Settings {
  float rate, momentum, square_decay, epsilon;
};

struct Leaf {
  int64_t size;
  float weight_decay;
  const float *gradient, *parameter, *momentum, *square;
  float *new_parameter, *new_momentum, *new_square;
};

// Part of a leaf.
struct Chunk {
  const Leaf* leaf;
  int64_t begin, end;
};

// True where a gradient is NaN or infinite: all bits of its exponent are set.
bool HasNonFinite(const float* values, int64_t size) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t found = 0;
  for (int64_t i = 0; i < size; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof(bits));
    found |= (bits & kExponent) == kExponent;
  }
  return found != 0;
}

template <bool kRmsProp>
bool Update(const Chunk& chunk, const Settings& s) {
  const Leaf& leaf = *chunk.leaf;
  const float* gradients = leaf.gradient;
  const float* parameters = leaf.parameter;
  const float* momenta = leaf.momentum;
  const float* squares = leaf.square;
  float* new_parameters = leaf.new_parameter;
  float* new_momenta = leaf.new_momentum;
  float* new_squares = leaf.new_square;
  const float weight_decay = leaf.weight_decay;
  const bool bad =
      HasNonFinite(gradients + chunk.begin, chunk.end - chunk.begin);
// Results lie apart from the arguments, or number by number where they do.
#pragma GCC ivdep
  for (int64_t i = chunk.begin; i < chunk.end; ++i) {
    const float gradient = gradients[i] + weight_decay * parameters[i];
    if (kRmsProp) {
      const float square = s.square_decay * squares[i] +
                           (1.0f - s.square_decay) * gradient * gradient;
      const float momentum = s.momentum * momenta[i] -
                             s.rate * gradient / std::sqrt(square + s.epsilon);
      new_squares[i] = square;
      new_momenta[i] = momentum;
      new_parameters[i] = parameters[i] + momentum;
    } else {
      const float momentum = s.momentum * momenta[i] + gradient;
      new_momenta[i] = momentum;
      new_parameters[i] =
          parameters[i] - s.rate * (gradient + s.momentum * momentum);
    }
  }
  return bad;
}

ffi::Error Call(ffi::ThreadPool pool, ffi::RemainingArgs arguments,
                ffi::RemainingRets results, ffi::Span<const float> decays,
                float momentum, float square_decay, float epsilon) {
  using Floats = ffi::Buffer<ffi::F32>;
  const int64_t count = decays.size();
  const bool rmsprop = static_cast<int64_t>(arguments.size()) == 1 + 4 * count;
  auto argument = [&](int64_t index) {
    return arguments.get<Floats>(index).value();
  };
  auto result = [&](int64_t index) {
    return results.get<Floats>(index).value()->typed_data();
  };
  const Settings settings{argument(0).typed_data()[0], momentum, square_decay,
                          epsilon};
  std::vector<Leaf> leaves(count);
  std::vector<Chunk> chunks;
  for (int64_t i = 0; i < count; ++i) {
    Leaf& leaf = leaves[i];
    leaf.size = argument(1 + i).element_count();
    leaf.weight_decay = decays[i];
    leaf.gradient = argument(1 + i).typed_data();
    leaf.parameter = argument(1 + count + i).typed_data();
    leaf.momentum = argument(1 + 2 * count + i).typed_data();
    leaf.new_parameter = result(1 + i);
    leaf.new_momentum = result(1 + count + i);
    if (rmsprop) {
      leaf.square = argument(1 + 3 * count + i).typed_data();
      leaf.new_square = result(1 + 2 * count + i);
    }
    constexpr int64_t kFloats = 16384;
    for (int64_t begin = 0; begin < leaf.size; begin += kFloats) {
      chunks.push_back({&leaf, begin, std::min(begin + kFloats, leaf.size)});
    }
  }
  std::vector<char> bad(chunks.size());
  RunTasks(pool, chunks.size(), [&](int64_t task) {
    bad[task] = rmsprop ? Update<true>(chunks[task], settings)
                        : Update<false>(chunks[task], settings);
  });
  result(0)[0] = std::count(bad.begin(), bad.end(), true) > 0;
  return ffi::Error::Success();
}

}  // namespace
}  // namespace layernas

XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_optimizer, layernas::Call,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<xla::ffi::Span<const float>>("decays")
                                  .Attr<float>("momentum")
                                  .Attr<float>("square_decay")
                                  .Attr<float>("epsilon"));

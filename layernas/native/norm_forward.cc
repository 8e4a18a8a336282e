// Batch norm with its activation on float32 rows (positions x filters): means of
// x and of its square in one pass, the activated output in another. Between them
// XLA averages the means over devices.

#include <cstdint>

#include "activations.h"
#include "norm.h"
#include "parallel.h"
#include "rows.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

void Moments(const Rows& rows, ffi::ThreadPool& pool, const float* x,
             float* mean, float* mean_square) {
  const float factor = static_cast<float>(rows.filters) / rows.size;
  TwoSums(rows, pool, factor, mean, mean_square,
          [x](int64_t at, int64_t, int64_t lanes, Vector* a, Vector* b) {
            __builtin_prefetch(x + at + kAhead);
            const Vector value = LoadSome(x + at, lanes);
            *a += value;
            *b += value * value;
          });
}

ffi::Error MomentsCall(ffi::ThreadPool pool, Floats x, Result mean,
                       Result mean_square) {
  Moments(RowsOf(x), pool, x.typed_data(), mean->typed_data(),
          mean_square->typed_data());
  return ffi::Error::Success();
}

ffi::Error NormaliseCall(ffi::ThreadPool pool, Floats x, Floats mean,
                         Floats square, Floats scale, Floats bias, Result y,
                         int64_t activation, float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  return WithActivation(activation, [&](auto kind) {
    const Normalised<decltype(kind)::value> normalised{
        {x.typed_data(), affine}};
    ForEach(rows, pool, normalised, y->typed_data());
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
XLA_FFI_DEFINE_HANDLER_SYMBOL(layernas_normalise, layernas::NormaliseCall,
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

// Gradients of batch norm with its activation: those of bias and scale in one
// pass, that of x in another. Between them XLA averages the former over devices.

#include <cstdint>

#include "activations.h"
#include "norm.h"
#include "parallel.h"
#include "rows.h"

namespace layernas {
namespace {

namespace ffi = xla::ffi;

ffi::Error ParameterGradientsCall(ffi::ThreadPool pool, Floats x,
                                  Floats gradient, Floats mean, Floats square,
                                  Floats scale, Floats bias,
                                  Result bias_gradient, Result scale_gradient,
                                  int64_t activation, float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  const float* gradients = gradient.typed_data();
  float* scales = scale_gradient->typed_data();
  return WithActivation(activation, [&](auto kind) {
    const BeforeActivation<decltype(kind)::value> before{
        {x.typed_data(), affine}};
    // A lane behind the end has no gradient, so that it adds nothing.
    TwoSums(rows, pool, 1.0f, bias_gradient->typed_data(), scales,
            [before, gradients](int64_t at, int64_t i, int64_t lanes, Vector* a,
                                Vector* b) {
              __builtin_prefetch(before.norm.x + at + kAhead);
              __builtin_prefetch(gradients + at + kAhead);
              before(at, i, lanes, LoadSome(gradients + at, lanes), a, b);
            });
    for (int64_t c = 0; c < rows.filters; ++c) {
      scales[c] *= affine.deviation.at(c);
    }
  });
}

ffi::Error InputGradientCall(ffi::ThreadPool pool, Floats x, Floats gradient,
                             Floats mean, Floats square, Floats scale,
                             Floats bias, Floats bias_gradient,
                             Floats scale_gradient, Result result,
                             int64_t activation, float epsilon) {
  const Rows rows = RowsOf(x);
  const Affine affine = AffineOf(rows, mean, square, scale, bias, epsilon);
  const Shares shares(rows, affine, bias_gradient, scale_gradient);
  return WithActivation(activation, [&](auto kind) {
    const NormGradient<decltype(kind)::value> input_gradient(
        {x.typed_data(), affine}, gradient.typed_data(), shares);
    ForEach(rows, pool, input_gradient, result->typed_data());
  });
}

}  // namespace
}  // namespace layernas

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

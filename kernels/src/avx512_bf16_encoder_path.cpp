// AVX-512 VNNI with vectors of bfloat16 (Zen 4, Cooper Lake).
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "encoder_path.hpp"

namespace smallsight {

namespace {

#include "avx512_encoder_body.hpp"

}  // namespace

const EncoderPath* avx512_bf16_encoder_path() {
    static const EncoderPath path = {"avx512-bf16", kFewRows, true, false, true, false, false, 2, begin, end, multiply, norm, activate,
                                     pack, store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight

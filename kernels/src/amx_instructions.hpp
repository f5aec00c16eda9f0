// AMX instructions, or C++ that computes the same where SMALLSIGHT_EMULATED_AMX is defined.
//
// Emulated, the code around the tiles runs on every processor with AVX-512 VNNI and VBMI, so that it can be tested there.
// Sums of bfloat16 are rounded in another order than by the processor.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#if defined(SMALLSIGHT_EMULATED_AMX)

namespace smallsight {

constexpr int kEmulatedRows = 16;
constexpr int kEmulatedRowBytes = 64;

struct EmulatedTile {
    alignas(64) std::uint8_t bytes[kEmulatedRows * kEmulatedRowBytes];
};

inline EmulatedTile& emulated_tile(int number) {
    static thread_local EmulatedTile tiles[8];
    return tiles[number];
}

inline void emulate_load(int tile, const void* from, long stride) {
    for (int row = 0; row < kEmulatedRows; ++row) {
        std::memcpy(emulated_tile(tile).bytes + row * kEmulatedRowBytes, static_cast<const char*>(from) + row * stride,
                    kEmulatedRowBytes);
    }
}

inline void emulate_store(int tile, void* to, long stride) {
    for (int row = 0; row < kEmulatedRows; ++row) {
        std::memcpy(static_cast<char*>(to) + row * stride, emulated_tile(tile).bytes + row * kEmulatedRowBytes,
                    kEmulatedRowBytes);
    }
}

inline void emulate_zero(int tile) { emulated_tile(tile) = EmulatedTile{}; }

inline void emulate_int8(int sum, int rows, int outputs) {
    auto* sums = reinterpret_cast<std::int32_t*>(emulated_tile(sum).bytes);
    const std::uint8_t* row = emulated_tile(rows).bytes;
    for (int m = 0; m < kEmulatedRows; ++m, row += kEmulatedRowBytes) {
        __m512i total = _mm512_loadu_si512(sums + m * 16);
        for (int k = 0; k < 16; ++k) {
            std::int32_t four = 0;
            std::memcpy(&four, row + 4 * k, 4);
            total = _mm512_dpbusd_epi32(total, _mm512_set1_epi32(four),
                                        _mm512_loadu_si512(emulated_tile(outputs).bytes + k * kEmulatedRowBytes));
        }
        _mm512_storeu_si512(sums + m * 16, total);
    }
}

inline void emulate_bf16(int sum, int rows, int outputs) {
    auto* sums = reinterpret_cast<float*>(emulated_tile(sum).bytes);
    const std::uint8_t* row = emulated_tile(rows).bytes;
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    for (int m = 0; m < kEmulatedRows; ++m, row += kEmulatedRowBytes) {
        __m512 total = _mm512_loadu_ps(sums + m * 16);
        for (int k = 0; k < 16; ++k) {
            std::int32_t both = 0;
            std::memcpy(&both, row + 4 * k, 4);
            const __m512i left = _mm512_set1_epi32(both);
            const __m512i right = _mm512_loadu_si512(emulated_tile(outputs).bytes + k * kEmulatedRowBytes);
            total = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(left, 16)),
                                    _mm512_castsi512_ps(_mm512_slli_epi32(right, 16)), total);
            total = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(left, high)),
                                    _mm512_castsi512_ps(_mm512_and_si512(right, high)), total);
        }
        _mm512_storeu_ps(sums + m * 16, total);
    }
}

// Rounds to bfloat16, ties to even.
inline __m256i rounded_to_bf16(__m512 values) {
    const __m512i bits = _mm512_castps_si512(values);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

// The same for twice as many; `low` comes first.
inline __m512i both_rounded_to_bf16(__m512 high, __m512 low) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(rounded_to_bf16(low)), rounded_to_bf16(high), 1);
}

}  // namespace smallsight

#define AMX_LOAD(tile, from, stride) smallsight::emulate_load(tile, from, stride)
#define AMX_STREAM(tile, from, stride) smallsight::emulate_load(tile, from, stride)
#define AMX_STORE(tile, to, stride) smallsight::emulate_store(tile, to, stride)
#define AMX_ZERO(tile) smallsight::emulate_zero(tile)
#define AMX_INT8(sum, rows, outputs) smallsight::emulate_int8(sum, rows, outputs)
#define AMX_BF16(sum, rows, outputs) smallsight::emulate_bf16(sum, rows, outputs)

#else

namespace smallsight {

// Rounds to bfloat16, ties to even.
inline __m256i rounded_to_bf16(__m512 values) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)); }

// The same for twice as many; `low` comes first.
inline __m512i both_rounded_to_bf16(__m512 high, __m512 low) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

}  // namespace smallsight

// The compiler's intrinsics do not tell it which memory a tile instruction reads.
#define AMX_LOAD(tile, from, stride) \
    asm volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(static_cast<const void*>(from)), "r"(stride) : "memory")
// The same for memory that is read once: it should not push what is read again out of the L1 cache.
#define AMX_STREAM(tile, from, stride) \
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm" #tile ::"r"(static_cast<const void*>(from)), "r"(stride) : "memory")
#define AMX_STORE(tile, to, stride) \
    asm volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(static_cast<void*>(to)), "r"(stride) : "memory")
#define AMX_ZERO(tile) asm volatile("tilezero %%tmm" #tile ::)
#define AMX_INT8(sum, rows, outputs) asm volatile("tdpbusd %%tmm" #outputs ", %%tmm" #rows ", %%tmm" #sum ::)
#define AMX_BF16(sum, rows, outputs) asm volatile("tdpbf16ps %%tmm" #outputs ", %%tmm" #rows ", %%tmm" #sum ::)

#endif

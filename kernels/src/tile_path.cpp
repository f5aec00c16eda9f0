// AVX-512 with products of many rows in tiles (AMX). Few rows, and everything else, are AVX-512's.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

#include "avx512_lanes.hpp"
#include "finish_body.hpp"

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64;       // in a row of a tile
constexpr int kFewestTileRows = 5;   // fewer are faster with AVX-512
constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl

// Configures this thread's tiles for groups of some inputs, and restores what was there: the runtime uses them too.
class TileSession {
   public:
    explicit TileSession(int inputs) {
        _tile_storeconfig(&before_);
        Config config = {};
        config.palette = 1;
        for (const int results : {0, 1}) config.set(results, kTileRows, kTileBytes);
        for (const int values : {4, 5}) config.set(values, kTileRows, inputs);
        for (const int weights : {6, 7}) config.set(weights, inputs / kStepInputs, kTileBytes);
        load(config);
    }
    ~TileSession() {
        if (before_.palette == 0) {
            _tile_release();
        } else {
            load(before_);
        }
    }
    TileSession(const TileSession&) = delete;
    TileSession& operator=(const TileSession&) = delete;

   private:
    struct Config {
        std::uint8_t palette;
        std::uint8_t start_row;
        std::uint8_t reserved[14];
        std::uint16_t row_bytes[16];
        std::uint8_t rows[16];

        void set(int tile, int num_rows, int num_bytes) {
            rows[tile] = static_cast<std::uint8_t>(num_rows);
            row_bytes[tile] = static_cast<std::uint16_t>(num_bytes);
        }
    };
    static_assert(sizeof(Config) == 64, "the processor reads 64 bytes");

    static void load(const Config& config) {
        asm volatile("" : : "r"(&config) : "memory");  // GCC 12 takes the operand below for 8 bytes
        _tile_loadconfig(&config);
    }

    Config before_;
};

// Inputs that one tile instruction multiplies; a group is a multiple.
int inputs_at_once(const PackedMatrix& matrix) { return matrix.group < kTileBytes ? matrix.group : kTileBytes; }

// Writes a block's codes as signed bytes, 64 for each step of four inputs.
void unpack(const PackedMatrix& matrix, int block, std::int8_t* out) {
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const int steps = matrix.inputs / kStepInputs;
    if (matrix.bits == 8) {
        const __m512i top_bit = _mm512_set1_epi8(static_cast<char>(0x80));
        for (int step = 0; step < steps; ++step)
            _mm512_store_si512(out + step * 64, _mm512_xor_si512(_mm512_load_si512(codes + step * 64), top_bit));
        return;
    }
    const __m512i low_half = _mm512_set1_epi8(15), offset = _mm512_set1_epi8(8);
    for (int step = 0; step < steps; step += 2) {
        const __m512i both = _mm512_load_si512(codes + step / 2 * 64);
        const __m512i first = _mm512_and_si512(both, low_half);
        const __m512i second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_half);
        _mm512_store_si512(out + step * 64, _mm512_sub_epi8(first, offset));
        _mm512_store_si512(out + step * 64 + 64, _mm512_sub_epi8(second, offset));
    }
}

// Starts the products of one group of 16 rows; even and odd groups use other tiles, so that two are in progress.
struct GroupProducts {
    const std::int8_t* values;
    long values_stride;
    const std::int8_t* weights;
    int group;
    int inputs;  // at once

    inline void start_even(int number, std::int32_t* products) const {
        _tile_zero(0);
        for (int at = number * group; at < (number + 1) * group; at += inputs) {
            _tile_loadd(4, values + at, values_stride);
            _tile_loadd(6, weights + static_cast<std::size_t>(at) * kLanes, kTileBytes);
            _tile_dpbssd(0, 4, 6);
        }
        _tile_stored(0, products, kTileBytes);
    }
    inline void start_odd(int number, std::int32_t* products) const {
        _tile_zero(1);
        for (int at = number * group; at < (number + 1) * group; at += inputs) {
            _tile_loadd(5, values + at, values_stride);
            _tile_loadd(7, weights + static_cast<std::size_t>(at) * kLanes, kTileBytes);
            _tile_dpbssd(1, 5, 7);
        }
        _tile_stored(1, products, kTileBytes);
    }
};

// Adds a group's products to the sums of 16 rows, as `multiply_codes` does.
inline void add_group(const std::int32_t* products, __m512 scale, const float* row_scales, __m512* sums) {
#pragma GCC unroll 16
    for (int row = 0; row < kTileRows; ++row) {
        const __m512 factor = _mm512_mul_ps(scale, _mm512_set1_ps(row_scales[row]));
        const __m512i whole = _mm512_load_si512(products + row * kLanes);
        sums[row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), factor, sums[row]);
    }
}

// Computes a block's outputs for 16 rows.
void multiply_tile(const PackedMatrix& matrix, int block, const std::int8_t* weights, const QuantisedRows& rows,
                   int first_row, Lanes* out) {
    alignas(64) std::int32_t even[kTileRows * kLanes], odd[kTileRows * kLanes];
    const int groups = matrix.groups();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * groups * kLanes;
    const float* row_scales = rows.scales_of(first_row);
    const GroupProducts products = {rows.codes + static_cast<std::size_t>(first_row) * rows.inputs, rows.inputs, weights,
                                    matrix.group, inputs_at_once(matrix)};
    const auto scale_of = [&](int group) {
        return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales + group * kLanes)));
    };
    __m512 sums[kTileRows];
#pragma GCC unroll 16
    for (int row = 0; row < kTileRows; ++row) sums[row] = _mm512_setzero_ps();
    products.start_even(0, even);
    for (int group = 0; group < groups; group += 2) {
        if (group + 1 < groups) products.start_odd(group + 1, odd);
        add_group(even, scale_of(group), row_scales + group * kLanes, sums);
        if (group + 2 < groups) products.start_even(group + 2, even);
        if (group + 1 < groups) add_group(odd, scale_of(group + 1), row_scales + (group + 1) * kLanes, sums);
    }
#pragma GCC unroll 16
    for (int row = 0; row < kTileRows; ++row) out[row].v = sums[row];
}

void multiply_whole(const PackedMatrix& matrix, int begin, int end, const QuantisedRows& rows, int num_rows,
                    const ProductTarget& target, std::int8_t* scratch) {
    const bool is_gated = target.epilogue == Epilogue::kGate;
    const int together = is_gated ? 2 : 1;
    const std::size_t size = static_cast<std::size_t>(matrix.inputs) * kLanes;
    const TileSession session(inputs_at_once(matrix));
    for (int block = begin; block < end; block += kBlocksUnpacked) {
        const int until = block + kBlocksUnpacked < end ? block + kBlocksUnpacked : end;
        for (int one = block; one < until; ++one) unpack(matrix, one, scratch + (one - block) * size);
        for (int first_row = 0; first_row < num_rows; first_row += kTileRows)
            for (int one = block; one < until; one += together) {
                Lanes first[kTileRows], second[kTileRows];
                const std::int8_t* weights = scratch + (one - block) * size;
                multiply_tile(matrix, one, weights, rows, first_row, first);
                if (is_gated) multiply_tile(matrix, one + 1, weights + size, rows, first_row, second);
                for (int row = 0; row < kTileRows && first_row + row < num_rows; ++row)
                    finish(first[row], is_gated ? second[row] : first[row], one, first_row + row, target);
            }
    }
}

void multiply(const PackedMatrix& matrix, int begin, int end, const QuantisedRows& rows, int num_rows,
              const ProductTarget& target, std::int8_t* scratch) {
    const int left = num_rows % kTileRows, whole = left >= kFewestTileRows ? num_rows : num_rows - left;
    const bool fits = matrix.group % inputs_at_once(matrix) == 0;
    if (fits && whole > 0) multiply_whole(matrix, begin, end, rows, whole, target, scratch);
    const int done = fits ? whole : 0;
    if (done == num_rows) return;
    const std::size_t groups = static_cast<std::size_t>(done) * rows.groups;
    const QuantisedRows others = {rows.codes + static_cast<std::size_t>(done) * rows.inputs, rows.scales_of(done),
                                  rows.sums + groups, rows.inputs, rows.groups};
    ProductTarget rest = target;
    rest.values += done * target.stride;
    avx512_path()->multiply(matrix, begin, end, others, num_rows - done, rest, scratch);
}

}  // namespace

bool may_use_tiles() {
    static const bool is_granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return is_granted;
}

const KernelPath* tile_path() {
    static const KernelPath path = [] {
        KernelPath changed = *avx512_path();
        changed.name = "amx";
        changed.multiply = multiply;
        return changed;
    }();
    return &path;
}

}  // namespace smallsight

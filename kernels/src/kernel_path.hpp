// What a step computes, as functions with one implementation for each instruction set.
//
// All implementations add in the same order and round alike, so that they return the same bits. A row's results
// depend on that row alone.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "packed_matrix.hpp"

namespace smallsight {

// Rows rounded to 8 bits in groups: code * scale. `sums` are those of a group's codes. A group's scales of 16 rows
// lie side by side.
struct QuantisedRows {
    std::int8_t* codes;
    float* scales;
    std::int32_t* sums;
    int inputs;  // codes in a row
    int groups;  // sums in a row

    // Returns where a row's scales begin; they are 16 apart.
    float* scales_of(int row) const {
        return scales + static_cast<std::size_t>(row / kLanes) * kLanes * groups + row % kLanes;
    }
};

enum class Epilogue { kStore, kAdd, kGate, kGelu, kExactGelu };

// Outputs of a product, row by row; `kGate` writes one value for two outputs. `bias` is null, or has one value for
// each output and room for a multiple of 16.
struct ProductTarget {
    float* values;
    std::size_t stride;
    int width;
    Epilogue epilogue;
    const float* bias;
};

constexpr int kBlockTokens = 32;

// Keys or values of one head in the cache, as bits of bfloat16. A vector of 32 of them is 16 pairs, whose first halves
// and second halves are 16 floats each, at one instruction.
struct CacheView {
    const std::uint16_t* base;
    const std::int32_t* table;
    std::size_t block_stride;  // in elements
    std::size_t head_offset;   // in elements

    const std::uint16_t* block_of(int token) const {
        return base + static_cast<std::size_t>(table[token / kBlockTokens]) * block_stride + head_offset;
    }
};

// Asks for a line of the cache that is read some hundred cycles later.
inline void fetch(const std::uint16_t* line) { __builtin_prefetch(line, 0, 3); }

// Returns where a block of keys, [head_dim][16][2], has a token's value of dimension 0; the next is 32 further. The
// second half of the block's tokens follows the first.
constexpr std::size_t key_at(int token) {
    const int slot = token % kBlockTokens;
    return static_cast<std::size_t>(slot % kLanes * 2 + slot / kLanes);
}

// Returns where a block of values, [16][head_dim][2], has a token's value of dimension 0; the next is 2 further.
constexpr std::size_t value_at(int token, int head_dim) {
    const int slot = token % kBlockTokens;
    return static_cast<std::size_t>(slot / 2) * 2 * head_dim + slot % 2;
}

constexpr int kPieceTokens = kBlockTokens;  // tokens whose attention is one piece of work
constexpr int kMaxHeadDim = 256;

// One piece of attention: query heads that share a key head, over tokens [begin, end) of one block.
struct AttentionPiece {
    const float* queries;  // [group heads] at a stride, [head_dim], rotated
    std::size_t query_stride;
    int group_heads;
    int head_dim;
    float scale;
    CacheView keys;
    CacheView values;
    int begin;
    int end;
    const std::uint16_t* next_keys;  // of the piece that this thread computes next, or of any
    // For each head at a stride: the largest score, the sum of exponentials, and the weighted values.
    float* largest;
    float* sums;
    float* weighted;
    std::size_t head_stride;           // of `largest` and `sums`
    std::size_t weighted_head_stride;  // of `weighted`
};

constexpr int kGroupRows = 16;  // most rows of one sequence whose attention is computed together

// One piece of the attention of several rows of a sequence: their query heads that share a key head, over tokens
// from `begin` on. Pair number row * group_heads + head is one query.
struct RowsPiece {
    const float* queries;  // [rows] at a stride, [group heads][head_dim], rotated
    std::size_t query_stride;
    int rows;
    int group_heads;
    int head_dim;
    float scale;
    CacheView keys;
    CacheView values;
    int begin;
    const std::int32_t* visible;  // [rows]: each attends to tokens before this one
    float* scratch;               // rows_scratch(pairs, head_dim) floats, aligned
    // As in AttentionPiece, by pair; a row that sees no token of the piece leaves anything there.
    float* largest;
    float* sums;
    float* weighted;
    std::size_t pair_stride;
    std::size_t weighted_pair_stride;
};

// Keys and values of a piece as float32, and scores of all pairs.
constexpr std::size_t rows_scratch(int pairs, int head_dim) {
    return static_cast<std::size_t>(kPieceTokens) * (2 * head_dim + pairs);
}

// A head's pieces, to be joined.
struct AttentionPieces {
    const float* largest;
    const float* sums;
    const float* weighted;  // [pieces][head_dim]
    int pieces;
    int head_dim;
};

// Bytes at `from`, `from + stride` and so on, each weighted, with kWeightBits bits after the point.
struct WeightedBytes {
    const std::uint8_t* from;
    std::size_t stride;
    const std::int32_t* weights;
    int taps;
};
constexpr int kWeightBits = 22;

// Rows of values that several queries attend to: each query's mean of all rows, weighted.
struct Pooling {
    const float* queries;  // [heads][width], scaled
    int heads;
    const float* values;  // [rows][width]
    int rows;
    int width;      // a multiple of 16
    float* shares;  // scratch: [heads][shares_stride(rows)]
    float* out;     // [heads][width]

    static constexpr std::size_t shares_stride(int rows) {
        return (static_cast<std::size_t>(rows) + kLanes - 1) / kLanes * kLanes;
    }
    float* shares_of(int head) const { return shares + head * shares_stride(rows); }
};

// A matrix that is multiplied with one vector, row by row: codes with a scale for each group, or bfloat16.
struct RowMatrix {
    int outputs = 0;
    int inputs = 0;  // of the vector: a multiple of 16, or of 32 for bfloat16
    int group = 0;   // codes that share a scale, a multiple of 16
    const std::int8_t* codes = nullptr;
    const float* scales = nullptr;          // [outputs][groups]
    const std::uint16_t* halves = nullptr;  // in each 32 inputs, pairs of one of the first 16 and one of the others
    const float* bias = nullptr;            // [outputs], and room for 15 more
};

struct KernelPath {
    const char* name;
    // Divides a vector by its root mean square and scales it; `size` is a multiple of 16.
    void (*norm)(const float* values, const float* weight, float epsilon, int size, float* out);
    // Subtracts the mean of a vector, divides by the standard deviation, scales and shifts.
    void (*layer_norm)(const float* values, const float* weight, const float* bias, float epsilon, int size,
                       float* out);
    // Rounds row number `row` to 8 bits.
    void (*quantise)(const float* values, int group, int row, const QuantisedRows& out);
    // Computes blocks [begin, end) of a product for rows [0, rows); with `kGate`, both are even. `scratch` has
    // `product_scratch` bytes, aligned, and codes have room for a multiple of 16 rows.
    void (*multiply)(const PackedMatrix& matrix, int begin, int end, const QuantisedRows& rows, int num_rows,
                     const ProductTarget& target, std::int8_t* scratch);
    // Rotates the first dimensions of a head in place; `cosines` and `sines` have half as many values.
    void (*rotate)(float* head, const float* cosines, const float* sines, int rotated_dims);
    void (*attend)(const AttentionPiece& piece);
    // The same for several rows at once, with the same bits.
    void (*attend_rows)(const RowsPiece& piece);
    // Joins a head's pieces; `largest` and `factors` have room for a multiple of 16 pieces.
    void (*join)(const AttentionPieces& pieces, float* factors, float* out);
    // Adds weighted bytes at `count` places side by side, rounds the sums and limits them to a byte.
    void (*mix)(const WeightedBytes& bytes, std::size_t count, std::uint8_t* out);
    // Multiplies rows of 8 bits, each with a scale, with one vector; `size` is a multiple of 16.
    void (*multiply_codes)(const std::int8_t* codes, const float* scales, const float* vector, std::size_t rows,
                           int size, float* out);
    void (*pool)(const Pooling& pooling);
    // Computes rows [begin, end) of a product with a vector, and adds their bias.
    void (*multiply_vector)(const RowMatrix& matrix, int begin, int end, const float* vector, float* out);
    void (*activate)(float* values, int size);  // GELU in its tanh form, in place; `size` is a multiple of 16
};

constexpr int kBlocksUnpacked = 4;
constexpr std::size_t product_scratch(int inputs) {
    return static_cast<std::size_t>(kBlocksUnpacked) * kLanes * inputs;
}

const KernelPath* plain_path();
#if defined(SMALLSIGHT_X86)
const KernelPath* avx2_path();
const KernelPath* avx512_path();
#endif
#if defined(SMALLSIGHT_ARM)
const KernelPath* dotprod_path();
const KernelPath* i8mm_path();
#endif
#if defined(SMALLSIGHT_TILES)
const KernelPath* tile_path();
// Asks the system for the tiles, once; returns whether this process may use them.
bool may_use_tiles();
#endif

// Returns a path by name; "auto" is the fastest that this processor runs. Null if it cannot run it.
const KernelPath* choose_path(const char* name);

}  // namespace smallsight

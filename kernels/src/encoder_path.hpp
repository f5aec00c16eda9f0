// What an instruction set implements for the encoder.
//
// Rows come in panels of 32. A row's results depend on that row only; in attention, on all keys and values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "panel_matrix.hpp"

namespace smallsight {

constexpr int kMostHead = 384;        // dimensions of a head
constexpr int kAheadBytes = 256;      // fetched into the L2 cache for each tile of a panel
constexpr int kMoreAheadBytes = 384;  // the same where few panels of rows share the weights
constexpr int kMostAheadBytes = 512;  // the same on a path that fetches as much as is needed

// What is applied to a layer's inner values: a form of GELU. The quick one is x / (1 + e**-1.702x).
enum class Activation { kNone, kTanhGelu, kQuickGelu, kErfGelu };

// One segment of a product for 32 rows: panels [begin, end) of outputs. The first segment adds the bias.
struct PanelProduct {
    const PanelMatrix* matrix;
    int segment;
    int begin;
    int end;
    RowPanel rows;  // the segment's
    float* out;     // the first row's first output of panel `begin`
    std::size_t stride;
    bool adds;  // to what is there
    const std::uint8_t* ahead = nullptr;  // weights that are read soon, or null
    int ahead_bytes = kAheadBytes;  // or `kMoreAheadBytes`, or any multiple of 64 where the path `fetches_any`
    int row_count = kPanel;  // a multiple of the path's `row_block`; what comes of the other rows does not matter
    Activation activation = Activation::kNone;  // of the sums, where the path `activates`
};

// Where a head's queries, keys or values of 32 rows go; `dims` is padded to 32.
struct HeadRows {
    const float* values;  // [32] rows at a stride
    std::size_t stride;
    int dims;
    std::uint8_t* tiles;
    std::size_t dim_panel_bytes;  // values only: from 32 dimensions to the next 32
};

// The attention of one head for 32 queries over all keys.
struct HeadAttention {
    const std::uint8_t* queries;  // [dims / 32][2][tile], scaled by log2(e) / sqrt(head)
    const std::uint8_t* keys;     // [key panel][dims / 32][2][tile]
    const std::uint8_t* values;   // [dims / 32][key panel][2][tile]
    int keys_count;
    int dims;
    std::uint8_t* shares;  // scratch: [key panel][the path's `share_tiles`][tile]
    float* out;            // [32] rows at a stride, `dims` values each
    std::size_t stride;
    int row_count = kPanel;  // queries, as in `PanelProduct`

    int key_panels() const { return (keys_count + kPanel - 1) / kPanel; }
};

struct EncoderPath {
    const char* name;
    int row_block;  // rows that are computed together
    bool takes_groups;  // matrices with a scale for 64 inputs
    bool takes_other_bits;  // kInt7 and kInt16
    bool fetches_more;  // `kMoreAheadBytes` where they are wanted
    bool fetches_any;  // any multiple of 64 bytes for each tile of a panel
    bool activates;  // products apply activations themselves
    int share_tiles;  // of scratch in attention, for 32 keys
    // Called by each thread around its work.
    void (*begin)();
    void (*end)();
    void (*multiply)(const PanelProduct& product);
    void (*norm)(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out);
    void (*activate)(Activation activation, float* values, int size);  // in place; `size` is a multiple of 16
    // Packs a row's segment, a multiple of 64 values.
    void (*pack)(const float* values, int size, int row, Number number, const RowPanel& rows);
    void (*store_queries)(const HeadRows& head, float scale);
    void (*store_keys)(const HeadRows& head);
    void (*store_values)(const HeadRows& head);
    void (*attend)(const HeadAttention& head);
};

const EncoderPath* plain_encoder_path();
#if defined(SMALLSIGHT_X86)
const EncoderPath* amx_encoder_path();
const EncoderPath* avx512_bf16_encoder_path();
const EncoderPath* avx512_encoder_path();
const EncoderPath* avx2_encoder_path();
#endif

// Returns a path by name; "auto" is the fastest that this processor runs. Null if it cannot run it.
const EncoderPath* choose_encoder_path(const char* name);

}  // namespace smallsight

// One step of a decoder over a paged KV cache: the next tokens of up to 16 sequences, and chunks of their prompts.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "kernel_path.hpp"
#include "packed_matrix.hpp"
#include "thread_team.hpp"

namespace smallsight {

constexpr int kMaxPieces = 16;

// The order of a decoder's layers. `kGated`: RMS norms before attention and a gated SiLU network. `kParallel`: one layer
// norm before attention and a GELU network side by side, and biases. `kCross`: attention, attention to an encoder's
// output and a GELU network, with a layer norm after each, and biases. Positions are rotary over a part of each head,
// or, without frequencies, in the embeddings.
enum class LayerKind { kGated, kParallel, kCross };

struct DecoderShape {
    int layers;
    int hidden;
    int heads;
    int kv_heads;
    int head_dim;
    int ffn;
    int vocabulary;
    int context_tokens;
    float epsilon;
    LayerKind kind;
    int max_rows;  // of one step

    int joined_width() const { return (heads + 2 * kv_heads) * head_dim; }
    int group_heads() const { return heads / kv_heads; }
    // A multiple of 16, so that factors are computed in whole vectors.
    int max_pieces() const { return ((context_tokens - 1) / kPieceTokens / kLanes + 1) * kLanes; }
    bool has_last_norm() const { return kind != LayerKind::kCross; }
    int max_blocks() const { return (context_tokens - 1) / kBlockTokens + 1; }
};

// A vector's scale and, of layer norms, shift.
struct Norm {
    std::vector<float> weight;
    std::vector<float> bias;
};

// A matrix and, in some decoders, what is added to its outputs: a multiple of 16 values.
struct Linear {
    PackedMatrix matrix;
    std::vector<float> bias;

    const float* bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
};

struct DecoderLayer {
    Norm attention_norm;
    Norm ffn_norm;     // not in a parallel layer
    Linear attention;  // query, key and value
    Linear output;
    Linear ffn_up;  // gate and up, or up alone
    Linear ffn_down;
    Norm cross_norm;  // this and the next two only in cross layers
    Linear cross_query;
    Linear cross_output;
    std::uint16_t* keys = nullptr;  // [blocks][kv_heads], in the order of `key_at`
    std::uint16_t* values = nullptr;
};

// An encoder's output as keys and values of all layers, [layers][keys, values][heads][blocks] of 32 tokens in the order
// of the cache.
struct Memory {
    const std::uint16_t* base = nullptr;
    int tokens = 0;
    int blocks = 0;
};

// Pieces of sequences, each some tokens at consecutive positions. `embeddings`, `logits` and `last_hidden` belong to
// the caller, and the rest is copied. The first `prefixes[i]` tokens of a sequence attend to one another in both
// directions, and must be in one piece.
struct StepPieces {
    int count = 0;
    const std::int32_t* lengths = nullptr;       // [count]
    const std::int32_t* positions = nullptr;     // [count], of the first tokens
    const std::int32_t* prefixes = nullptr;      // [count]
    const std::int32_t* tables = nullptr;        // the pieces' block tables, one after the other
    const std::int32_t* table_begins = nullptr;  // [count]
    const std::uint8_t* wants_logits = nullptr;  // [count], of the piece's last token
    const float* embeddings = nullptr;           // [all tokens][hidden]
    float* logits = nullptr;                     // [pieces that want them][vocabulary]
    float* last_hidden = nullptr;                // [pieces that want logits][hidden], before the last norm
    const Memory* memories = nullptr;            // [count], of a decoder with cross layers
};

enum Part { kNorms, kProducts, kAttention, kJoin, kHead, kParts };

class DecodeStep {
   public:
    DecodeStep(const DecoderShape& shape, std::vector<float> frequencies, int threads, const KernelPath* path);

    Arena& arena() { return arena_; }
    DecoderLayer& layer(int index) { return layers_.at(index); }
    void set_head(Norm norm, Linear head);
    const DecoderShape& shape() const { return shape_; }
    const char* path_name() const { return path_->name; }
    std::size_t weight_bytes() const;

    // Computes logits and stores the tokens' keys and values in the cache. One caller at a time.
    void run(const StepPieces& pieces);

    // Seconds that the first thread spent in each part since the last call; measured once this was called.
    std::vector<double> take_seconds();

   private:
    struct Scratch {
        AlignedArray<std::int8_t> codes;
        AlignedArray<float> scales;
        AlignedArray<std::int32_t> sums;
    };

    // Rows of a piece whose attention is computed together.
    struct RowGroup {
        int first;
        int count;
    };

    // Consecutive rows that attend to the same memory.
    struct MemoryGroup {
        Memory memory;
        int first;
        int count;
    };

    // What one thread needs while it attends and multiplies.
    struct ThreadScratch {
        AlignedArray<std::int8_t> product;
        AlignedArray<float> rows;                             // of attend_rows
        AlignedArray<float> largest, exponentials, weighted;  // [pair][piece]([head_dim])
        AlignedArray<float> factors;                          // [piece]
    };

    void plan(const StepPieces& pieces);
    void plan_piece(const StepPieces& pieces, int piece, int first_row);
    void work(Turn& turn);
    void run_layer(const DecoderLayer& layer, Turn& turn);
    void run_parallel_layer(const DecoderLayer& layer, Turn& turn);
    void run_cross_layer(const DecoderLayer& layer, Turn& turn);
    void attend_to_memory(const DecoderLayer& layer, Turn& turn);
    void attend_memory_unit(int layer, int unit, ThreadScratch& scratch);
    void renorm(const Norm& norm, const Linear& next, Turn& turn);
    void compute_attention(const DecoderLayer& layer, Turn& turn);
    void compute_head(Turn& turn);
    void norm_and_quantise(const Norm& norm, const Linear& next, Turn& turn);
    void norm_row(const Norm& norm, const float* values, int row, const PackedMatrix& next);
    void multiply(const Linear& linear, float* values, int width, Epilogue epilogue, Turn& turn);
    void multiply_rows(const Linear& linear, int unit, int rows, const ProductTarget& target, Turn& turn);
    void store(const DecoderLayer& layer, int row);
    void attend_unit(const DecoderLayer& layer, int unit, int thread);
    void attend_lone(const DecoderLayer& layer, int unit, int units);
    void attend_piece(const DecoderLayer& layer, int lone, int kv_head, int piece);
    void attend_group(const DecoderLayer& layer, const RowGroup& group, int kv_head, ThreadScratch& scratch);
    void join(int lone, int thread);
    void quantise_row(const float* values, int row, const PackedMatrix& next);
    void set_angles(int row);
    void end_part(Part part, const Turn& turn);
    int units_of(int pieces) const;
    CacheView cache_of(const std::uint16_t* base, int row, int kv_head) const;
    QuantisedRows quantised(const PackedMatrix& next);
    int pieces_of(int row) const { return (visible_[row] - 1) / kPieceTokens + 1; }
    // Takes units of some rows; few rows are taken one by one.
    template <typename OfRow>
    void share_rows(Turn& turn, OfRow&& compute);

    const DecoderShape shape_;
    const std::vector<float> frequencies_;
    const KernelPath* const path_;
    Arena arena_;
    std::vector<DecoderLayer> layers_;
    Norm outer_norm_;  // before the head, or, in a decoder with cross layers, of the embeddings
    Linear head_;
    bool is_timed_ = false;
    double part_started_s_ = 0.0;
    std::vector<double> seconds_;

    // The plan of a step. A thread that is late may read the numbers while the next step is planned, in order to
    // find that its part is over; everything else is read within units only.
    std::atomic<int> num_rows_{0}, num_wanted_{0}, num_group_units_{0}, num_lone_pieces_{0}, num_memory_units_{0};
    const float* embeddings_ = nullptr;
    float* logits_ = nullptr;
    float* last_hidden_ = nullptr;
    std::vector<std::int32_t> tables_;                         // [kMaxPieces][blocks of the context]
    std::vector<std::int32_t> positions_, visible_, table_of_;  // [row]: its table, and before which token it sees
    std::vector<int> lone_of_;                                 // [row]: its index among lone rows, or -1
    std::vector<int> lone_rows_, wanted_rows_;                 // lone rows are pieces of one token
    std::vector<RowGroup> groups_;
    std::vector<MemoryGroup> memory_groups_;
    std::vector<std::int32_t> in_order_;  // the block table of every memory

    Scratch scratch_;
    std::vector<ThreadScratch> threads_;
    AlignedArray<float> hidden_, normed_, joined_, mixed_, inner_, cosines_, sines_;
    AlignedArray<float> largest_, exponentials_, weighted_;  // [lone row][head][piece]([head_dim])
    ThreadTeam team_;                                        // last, so that its threads end first
};

constexpr int kRowsAtOnce = 8;

template <typename OfRow>
void DecodeStep::share_rows(Turn& turn, OfRow&& compute) {
    const auto size_of = [](int rows) { return rows <= 2 * kRowsAtOnce ? 1 : kRowsAtOnce; };
    const auto units = [&] { return (num_rows_.load() + size_of(num_rows_.load()) - 1) / size_of(num_rows_.load()); };
    team_.share(turn, units, [&](int unit) {
        const int rows = num_rows_.load(), size = size_of(rows);
        for (int row = unit * size; row < rows && row < (unit + 1) * size; ++row) compute(row);
    });
}

}  // namespace smallsight

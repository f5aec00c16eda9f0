// One decode step of a Llama-like decoder: the next token of up to 16 sequences over a paged KV cache.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel_path.hpp"
#include "packed_matrix.hpp"
#include "thread_team.hpp"

namespace smallsight {

constexpr int kMaxRows = 16;

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

    int rotated_heads() const { return heads + kv_heads; }
    int joined_width() const { return (heads + 2 * kv_heads) * head_dim; }
    int group_heads() const { return heads / kv_heads; }
    // A multiple of 16, so that factors are computed in whole vectors.
    int max_pieces() const { return ((context_tokens - 1) / kPieceTokens / kLanes + 1) * kLanes; }
};

struct DecoderLayer {
    std::vector<float> attention_norm;
    std::vector<float> ffn_norm;
    PackedMatrix attention;  // query, key and value
    PackedMatrix output;
    PackedMatrix gate_up;
    PackedMatrix down;
    void* keys = nullptr;  // [blocks][kv_heads][32][head_dim]
    void* values = nullptr;
};

// The rows of one step. `embeddings` and `logits` belong to the caller, and the rest is copied.
struct StepRows {
    int count = 0;
    const float* embeddings = nullptr;           // [count][hidden]
    const std::int32_t* positions = nullptr;     // [count]
    const std::int32_t* tables = nullptr;        // the rows' block tables, one after the other
    const std::int32_t* table_begins = nullptr;  // [count]
    float* logits = nullptr;                     // [count][vocabulary]
};

enum Part { kNorms, kProducts, kAttention, kJoin, kHead, kParts };

class DecodeStep {
   public:
    DecodeStep(const DecoderShape& shape, std::vector<float> frequencies, int threads, const KernelPath* path);

    Arena& arena() { return arena_; }
    DecoderLayer& layer(int index) { return layers_.at(index); }
    void set_head(std::vector<float> norm, PackedMatrix head);
    void set_cache_type(bool is_bf16) { is_bf16_ = is_bf16; }
    const DecoderShape& shape() const { return shape_; }
    const char* path_name() const { return path_->name; }
    std::size_t weight_bytes() const;

    // Computes logits and stores the rows' keys and values in the cache. One caller at a time.
    void run(const StepRows& rows);

    // Seconds that the first thread spent in each part since the last call; measured once this was called.
    std::vector<double> take_seconds();

   private:
    struct Scratch {
        AlignedArray<std::int8_t> codes;
        AlignedArray<float> scales;
        AlignedArray<std::int32_t> sums;
    };

    void work(Turn& turn);
    void run_layer(const DecoderLayer& layer, Turn& turn);
    void norm_and_quantise(const float* weight, const PackedMatrix& next, Turn& turn);
    void multiply(const PackedMatrix& matrix, const ProductTarget& target, Turn& turn);
    void attend(const DecoderLayer& layer, Turn& turn);
    void attend_piece(const DecoderLayer& layer, int row, int kv_head, int piece, float* queries);
    void store(const DecoderLayer& layer, int row, int kv_head);
    void join(const PackedMatrix& next, int row, int thread);
    void quantise_row(const float* values, int row, const PackedMatrix& next);
    void set_angles(int row);
    void end_part(Part part, const Turn& turn);
    int units_of(int pieces) const;
    CacheView cache_of(const void* base, int row, int kv_head) const;
    QuantisedRows quantised(const PackedMatrix& next);
    int pieces_of(int row) const { return positions_[row] / kPieceTokens + 1; }

    const DecoderShape shape_;
    const std::vector<float> frequencies_;
    const KernelPath* const path_;
    Arena arena_;
    std::vector<DecoderLayer> layers_;
    std::vector<float> head_norm_;
    PackedMatrix head_;
    bool is_bf16_ = false;
    bool is_timed_ = false;
    double part_started_s_ = 0.0;
    std::vector<double> seconds_;
    StepRows rows_;
    // Copies, which stay readable for a thread that is late.
    std::int32_t positions_[kMaxRows] = {};
    std::vector<std::int32_t> tables_;  // [kMaxRows][blocks of the context]
    Scratch scratch_;
    AlignedArray<float> hidden_, normed_, joined_, mixed_, inner_, cosines_, sines_;
    AlignedArray<float> largest_, exponentials_, weighted_;  // [row][head][piece]([head_dim])
    AlignedArray<float> factors_;                            // [thread][piece]
    AlignedArray<float> queries_;                            // [thread][group heads][head_dim]
    ThreadTeam team_;  // last, so that its threads end first
};

}  // namespace smallsight

// Attention of a step's rows: lone rows in pieces of the cache that threads share, others in groups.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode_step.hpp"

namespace smallsight {

namespace {

// Rounds finite numbers to bfloat16, ties to even.
std::uint16_t to_bf16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

CacheView DecodeStep::cache_of(const std::uint16_t* base, int row, int kv_head) const {
    const std::size_t head = static_cast<std::size_t>(kBlockTokens) * shape_.head_dim;
    return {base, tables_.data() + table_of_[row], head * shape_.kv_heads, head * kv_head};
}

// Rotates a row's queries and keys, and stores its keys and values in the cache.
void DecodeStep::store(const DecoderLayer& layer, int row) {
    const int dim = shape_.head_dim, rotated = 2 * static_cast<int>(frequencies_.size()), position = positions_[row];
    const float* cosines = cosines_.get() + static_cast<std::size_t>(row) * rotated / 2;
    const float* sines = sines_.get() + static_cast<std::size_t>(row) * rotated / 2;
    float* heads = joined_.get() + static_cast<std::size_t>(row) * shape_.joined_width();
    for (int head = 0; head < shape_.heads + shape_.kv_heads; ++head)
        path_->rotate(heads + static_cast<std::size_t>(head) * dim, cosines, sines, rotated);
    for (int kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
        const float* key = heads + static_cast<std::size_t>(shape_.heads + kv_head) * dim;
        const float* value = key + static_cast<std::size_t>(shape_.kv_heads) * dim;
        const std::size_t block = cache_of(layer.keys, row, kv_head).block_of(position) - layer.keys;
        std::uint16_t* to_key = layer.keys + block + key_at(position);
        std::uint16_t* to_value = layer.values + block + value_at(position, dim);
        for (int at = 0; at < dim; ++at) to_key[at * kBlockTokens] = to_bf16(key[at]);
        for (int at = 0; at < dim; ++at) to_value[at * 2] = to_bf16(value[at]);
    }
}

// Groups come first, those that see most before others, and then shares of all pieces of lone rows.
void DecodeStep::attend_unit(const DecoderLayer& layer, int unit, int thread) {
    const int group_units = num_group_units_.load();
    if (unit >= group_units) {
        attend_lone(layer, unit - group_units, units_of(num_lone_pieces_.load()));
        return;
    }
    const int group = (group_units - 1 - unit) / shape_.kv_heads;
    attend_group(layer, groups_[group], unit % shape_.kv_heads, threads_[thread]);
}

void DecodeStep::attend_lone(const DecoderLayer& layer, int unit, int units) {
    const long long pieces = num_lone_pieces_.load();  // of one head each, row by row, in the order of memory
    int begin = static_cast<int>(pieces * unit / units), end = static_cast<int>(pieces * (unit + 1) / units);
    const int count = static_cast<int>(lone_rows_.size());
    for (int lone = 0; lone < count && end > 0; ++lone) {
        const int here = pieces_of(lone_rows_[lone]) * shape_.kv_heads;
        for (int at = std::max(begin, 0); at < std::min(end, here); ++at)
            attend_piece(layer, lone, at % shape_.kv_heads, at / shape_.kv_heads);
        begin -= here;
        end -= here;
    }
}

void DecodeStep::attend_piece(const DecoderLayer& layer, int lone, int kv_head, int piece) {
    const int dim = shape_.head_dim, group = shape_.group_heads(), row = lone_rows_[lone];
    const float* queries = joined_.get() + static_cast<std::size_t>(row) * shape_.joined_width() + kv_head * group * dim;
    const std::size_t pieces = shape_.max_pieces();
    const std::size_t at = (static_cast<std::size_t>(lone) * shape_.heads + kv_head * group) * pieces + piece;
    const int begin = piece * kPieceTokens, end = std::min(begin + kPieceTokens, visible_[row]);
    const int after = kv_head + 1 < shape_.kv_heads || end == visible_[row] ? begin : end;
    const std::uint16_t* next = cache_of(layer.keys, row, (kv_head + 1) % shape_.kv_heads).block_of(after);
    path_->attend({queries, static_cast<std::size_t>(dim), group, dim, 1.0f / std::sqrt(static_cast<float>(dim)),
                   cache_of(layer.keys, row, kv_head), cache_of(layer.values, row, kv_head), begin, end,
                   next, largest_.get() + at, exponentials_.get() + at, weighted_.get() + at * dim, pieces, pieces * dim});
}

void DecodeStep::attend_group(const DecoderLayer& layer, const RowGroup& group, int kv_head, ThreadScratch& scratch) {
    const int dim = shape_.head_dim, heads = shape_.group_heads(), first = group.first;
    const std::size_t pieces = shape_.max_pieces(), width = shape_.joined_width();
    const std::size_t query = static_cast<std::size_t>(kv_head) * heads * dim;
    int most = 0;
    for (int row = first; row < first + group.count; ++row) most = std::max(most, pieces_of(row));
    RowsPiece piece = {joined_.get() + first * width + query, width, group.count, heads, dim,
                       1.0f / std::sqrt(static_cast<float>(dim)), cache_of(layer.keys, first, kv_head),
                       cache_of(layer.values, first, kv_head), 0, visible_.data() + first, scratch.rows.get(),
                       scratch.largest.get(), scratch.exponentials.get(), scratch.weighted.get(), pieces, pieces * dim};
    for (int number = 0; number < most; ++number) {
        path_->attend_rows(piece);
        piece.begin += kPieceTokens;
        piece.largest += 1;
        piece.sums += 1;
        piece.weighted += dim;
    }
    for (int pair = 0; pair < group.count * heads; ++pair) {
        const int row = first + pair / heads;
        float* mixed = mixed_.get() + static_cast<std::size_t>(row) * shape_.heads * dim + query + pair % heads * dim;
        path_->join({scratch.largest.get() + pair * pieces, scratch.exponentials.get() + pair * pieces,
                     scratch.weighted.get() + pair * pieces * dim, pieces_of(row), dim},
                    scratch.factors.get(), mixed);
    }
}

// Attends to the encoders' outputs up to the quantised inputs of `cross_output`.
void DecodeStep::attend_to_memory(const DecoderLayer& layer, Turn& turn) {
    const int index = static_cast<int>(&layer - layers_.data());
    team_.share(turn, [&] { return num_memory_units_.load(); },
                [&](int unit) { attend_memory_unit(index, unit, threads_[turn.thread]); });
    end_part(kAttention, turn);
    share_rows(turn, [&](int row) {
        quantise_row(mixed_.get() + static_cast<std::size_t>(row) * shape_.hidden, row, layer.cross_output.matrix);
    });
    end_part(kJoin, turn);
}

// Rows that share a memory are like query heads that share a key head.
void DecodeStep::attend_memory_unit(int layer, int unit, ThreadScratch& scratch) {
    const MemoryGroup& group = memory_groups_[unit / shape_.heads];
    const int head = unit % shape_.heads, dim = shape_.head_dim;
    const std::size_t block = static_cast<std::size_t>(kBlockTokens) * dim, pieces = shape_.max_pieces();
    const std::size_t side = block * group.memory.blocks * shape_.heads;
    const std::uint16_t* keys = group.memory.base + 2 * layer * side;
    const std::size_t offset = block * group.memory.blocks * head, width = shape_.hidden;
    AttentionPiece piece = {joined_.get() + group.first * width + static_cast<std::size_t>(head) * dim, width,
                            group.count, dim, 1.0f / std::sqrt(static_cast<float>(dim)),
                            {keys, in_order_.data(), block, offset}, {keys + side, in_order_.data(), block, offset},
                            0, 0, nullptr, scratch.largest.get(), scratch.exponentials.get(), scratch.weighted.get(),
                            pieces, pieces * dim};
    const int count = (group.memory.tokens - 1) / kPieceTokens + 1;
    for (int number = 0; number < count; ++number) {
        piece.begin = number * kPieceTokens;
        piece.end = std::min(piece.begin + kPieceTokens, group.memory.tokens);
        piece.next_keys = piece.keys.block_of(number + 1 < count ? piece.end : 0);
        path_->attend(piece);
        piece.largest += 1;
        piece.sums += 1;
        piece.weighted += dim;
    }
    for (int row = 0; row < group.count; ++row)
        path_->join({scratch.largest.get() + row * pieces, scratch.exponentials.get() + row * pieces,
                     scratch.weighted.get() + row * pieces * dim, count, dim},
                    scratch.factors.get(),
                    mixed_.get() + (group.first + row) * width + static_cast<std::size_t>(head) * dim);
}

void DecodeStep::join(int lone, int thread) {
    const int dim = shape_.head_dim, row = lone_rows_[lone];
    const std::size_t pieces = shape_.max_pieces();
    float* mixed = mixed_.get() + static_cast<std::size_t>(row) * shape_.heads * dim;
    for (int head = 0; head < shape_.heads; ++head) {
        const std::size_t at = (static_cast<std::size_t>(lone) * shape_.heads + head) * pieces;
        path_->join({largest_.get() + at, exponentials_.get() + at, weighted_.get() + at * dim, pieces_of(row), dim},
                    threads_[thread].factors.get(), mixed + static_cast<std::size_t>(head) * dim);
    }
}

}  // namespace smallsight

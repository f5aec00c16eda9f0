#include "decode_step.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace smallsight {

namespace {

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Rounds finite numbers to bfloat16, ties to even.
std::uint16_t to_bf16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Returns the first of `count` that belongs to a unit.
int share_of(int count, int unit, int units) {
    return static_cast<int>(static_cast<long long>(count) * unit / units);
}

int blocks_of(int position) { return position / kBlockTokens + 1; }

void check(const DecoderShape& shape, std::size_t frequencies) {
    const bool fits = shape.layers > 0 && shape.hidden % kLanes == 0 && shape.ffn % kLanes == 0 &&
                      shape.head_dim % kLanes == 0 && shape.head_dim <= kMaxHeadDim && shape.kv_heads > 0 &&
                      shape.heads % shape.kv_heads == 0 && shape.context_tokens > 0;
    if (!fits || frequencies * 2 != static_cast<std::size_t>(shape.head_dim))
        throw std::invalid_argument("sizes must be multiples of 16, heads a multiple of key heads");
}

}  // namespace

DecodeStep::DecodeStep(const DecoderShape& shape, std::vector<float> frequencies, int threads,
                       const KernelPath* path)
    : shape_((check(shape, frequencies.size()), shape)),
      frequencies_(std::move(frequencies)),
      path_(path),
      layers_(shape.layers),
      seconds_(kParts, 0.0),
      tables_(static_cast<std::size_t>(kMaxRows) * blocks_of(shape.context_tokens - 1)),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    const std::size_t widest = std::max({shape.hidden, shape.ffn, shape.heads * shape.head_dim});
    const std::size_t rows = kMaxRows, pieces = rows * shape.heads * shape.max_pieces();
    scratch_.codes = aligned_array<std::int8_t>(rows * widest);
    scratch_.scales = aligned_array<float>(rows * widest / 8);
    scratch_.sums = aligned_array<std::int32_t>(rows * widest / 8);
    hidden_ = aligned_array<float>(rows * shape.hidden);
    normed_ = aligned_array<float>(rows * shape.hidden);
    joined_ = aligned_array<float>(rows * shape.joined_width());
    mixed_ = aligned_array<float>(rows * shape.heads * shape.head_dim);
    inner_ = aligned_array<float>(rows * shape.ffn);
    cosines_ = aligned_array<float>(rows * shape.head_dim / 2);
    sines_ = aligned_array<float>(rows * shape.head_dim / 2);
    largest_ = aligned_array<float>(pieces);
    std::fill_n(largest_.get(), pieces, 0.0f);  // joining reads whole vectors
    exponentials_ = aligned_array<float>(pieces);
    weighted_ = aligned_array<float>(pieces * shape.head_dim);
    factors_ = aligned_array<float>(static_cast<std::size_t>(team_.size()) * shape.max_pieces());
    queries_ = aligned_array<float>(static_cast<std::size_t>(team_.size()) * shape.group_heads() * shape.head_dim);
}

void DecodeStep::set_head(std::vector<float> norm, PackedMatrix head) {
    head_norm_ = std::move(norm);
    head_ = std::move(head);
}

std::size_t DecodeStep::weight_bytes() const {
    std::size_t total = head_.num_bytes();
    for (const DecoderLayer& layer : layers_)
        total += layer.attention.num_bytes() + layer.output.num_bytes() + layer.gate_up.num_bytes() +
                 layer.down.num_bytes();
    return total;
}

void DecodeStep::run(const StepRows& rows) {
    rows_ = rows;
    const int blocks = blocks_of(shape_.context_tokens - 1);
    for (int row = 0; row < rows.count; ++row) {
        positions_[row] = rows.positions[row];
        std::copy_n(rows.tables + rows.table_begins[row], blocks_of(rows.positions[row]),
                    tables_.begin() + static_cast<std::size_t>(row) * blocks);
    }
    team_.run();
}

std::vector<double> DecodeStep::take_seconds() {
    is_timed_ = true;
    std::vector<double> seconds(kParts, 0.0);
    seconds.swap(seconds_);
    return seconds;
}

// A few for each thread, so that one that starts late takes less.
int DecodeStep::units_of(int pieces) const { return std::min(pieces, team_.size() == 1 ? 1 : 4 * team_.size()); }

void DecodeStep::end_part(Part part, const Turn& turn) {
    if (!is_timed_ || turn.thread != 0) return;
    const double now = now_s();
    seconds_[part] += now - part_started_s_;
    part_started_s_ = now;
}

void DecodeStep::work(Turn& turn) {
    if (turn.thread == 0 && is_timed_) part_started_s_ = now_s();
    team_.share(turn, rows_.count, [&](int row) {
        const std::size_t at = static_cast<std::size_t>(row) * shape_.hidden;
        std::memcpy(hidden_.get() + at, rows_.embeddings + at, shape_.hidden * sizeof(float));
        set_angles(row);
    });
    for (const DecoderLayer& layer : layers_) run_layer(layer, turn);
    norm_and_quantise(head_norm_.data(), head_, turn);
    const std::size_t vocabulary = shape_.vocabulary;
    multiply(head_, {rows_.logits, vocabulary, shape_.vocabulary, Epilogue::kStore}, turn);
    end_part(kHead, turn);
}

void DecodeStep::run_layer(const DecoderLayer& layer, Turn& turn) {
    const std::size_t hidden = shape_.hidden, ffn = shape_.ffn, joined = shape_.joined_width();
    norm_and_quantise(layer.attention_norm.data(), layer.attention, turn);
    multiply(layer.attention, {joined_.get(), joined, shape_.joined_width(), Epilogue::kStore}, turn);
    end_part(kProducts, turn);
    attend(layer, turn);
    end_part(kAttention, turn);
    team_.share(turn, rows_.count, [&](int row) { join(layer.output, row, turn.thread); });
    end_part(kJoin, turn);
    multiply(layer.output, {hidden_.get(), hidden, shape_.hidden, Epilogue::kAdd}, turn);
    end_part(kProducts, turn);
    norm_and_quantise(layer.ffn_norm.data(), layer.gate_up, turn);
    multiply(layer.gate_up, {inner_.get(), ffn, shape_.ffn, Epilogue::kGate}, turn);
    end_part(kProducts, turn);
    team_.share(turn, rows_.count, [&](int row) { quantise_row(inner_.get() + row * ffn, row, layer.down); });
    end_part(kNorms, turn);
    multiply(layer.down, {hidden_.get(), hidden, shape_.hidden, Epilogue::kAdd}, turn);
    end_part(kProducts, turn);
}

void DecodeStep::norm_and_quantise(const float* weight, const PackedMatrix& next, Turn& turn) {
    team_.share(turn, rows_.count, [&](int row) {
        const std::size_t at = static_cast<std::size_t>(row) * shape_.hidden;
        path_->norm(hidden_.get() + at, weight, shape_.epsilon, shape_.hidden, normed_.get() + at);
        quantise_row(normed_.get() + at, row, next);
    });
    end_part(kNorms, turn);
}

QuantisedRows DecodeStep::quantised(const PackedMatrix& next) {
    return {scratch_.codes.get(), scratch_.scales.get(), scratch_.sums.get(), next.inputs, next.groups()};
}

void DecodeStep::quantise_row(const float* values, int row, const PackedMatrix& next) {
    path_->quantise(values, next.group, row, quantised(next));
}

void DecodeStep::multiply(const PackedMatrix& matrix, const ProductTarget& target, Turn& turn) {
    const int together = target.epilogue == Epilogue::kGate ? 2 : 1;
    const int groups = matrix.blocks / together, units = units_of(groups);
    team_.share(turn, units, [&](int unit) {
        const int begin = share_of(groups, unit, units) * together, end = share_of(groups, unit + 1, units) * together;
        path_->multiply(matrix, begin, end, quantised(matrix), rows_.count, target);
    });
}

void DecodeStep::set_angles(int row) {
    const int half = shape_.head_dim / 2;
    for (int at = 0; at < half; ++at) {
        const float angle = static_cast<float>(positions_[row]) * frequencies_[at];
        cosines_[row * half + at] = std::cos(angle);
        sines_[row * half + at] = std::sin(angle);
    }
}

void DecodeStep::attend(const DecoderLayer& layer, Turn& turn) {
    int pieces = 0;  // of one head each, row by row, in the order of memory
    for (int row = 0; row < rows_.count; ++row) pieces += pieces_of(row) * shape_.kv_heads;
    const int units = units_of(pieces);
    float* queries = queries_.get() + static_cast<std::size_t>(turn.thread) * shape_.group_heads() * shape_.head_dim;
    team_.share(turn, units, [&](int unit) {
        int begin = share_of(pieces, unit, units), end = share_of(pieces, unit + 1, units);
        for (int row = 0; row < rows_.count && end > 0; ++row) {
            const int here = pieces_of(row) * shape_.kv_heads;
            for (int at = std::max(begin, 0); at < std::min(end, here); ++at)
                attend_piece(layer, row, at % shape_.kv_heads, at / shape_.kv_heads, queries);
            begin -= here;
            end -= here;
        }
    });
}

CacheView DecodeStep::cache_of(const void* base, int row, int kv_head) const {
    const std::size_t head = static_cast<std::size_t>(kBlockTokens) * shape_.head_dim;
    const std::size_t first = static_cast<std::size_t>(row) * blocks_of(shape_.context_tokens - 1);
    return {base, tables_.data() + first, head * shape_.kv_heads, head * kv_head, is_bf16_};
}

void DecodeStep::attend_piece(const DecoderLayer& layer, int row, int kv_head, int piece, float* queries) {
    const int dim = shape_.head_dim, group = shape_.group_heads(), half = dim / 2;
    if (piece == pieces_of(row) - 1) store(layer, row, kv_head);
    const float* from = joined_.get() + static_cast<std::size_t>(row) * shape_.joined_width() + kv_head * group * dim;
    std::memcpy(queries, from, static_cast<std::size_t>(group) * dim * sizeof(float));
    for (int head = 0; head < group; ++head)
        path_->rotate(queries + head * dim, cosines_.get() + row * half, sines_.get() + row * half, dim);
    const std::size_t pieces = shape_.max_pieces();
    const std::size_t at = (static_cast<std::size_t>(row) * shape_.heads + kv_head * group) * pieces + piece;
    const int begin = piece * kPieceTokens, end = std::min(begin + kPieceTokens, positions_[row] + 1);
    path_->attend({queries, group, dim, 1.0f / std::sqrt(static_cast<float>(dim)),
                   cache_of(layer.keys, row, kv_head), cache_of(layer.values, row, kv_head), begin, end,
                   largest_.get() + at, exponentials_.get() + at, weighted_.get() + at * dim, pieces, pieces * dim});
}

void DecodeStep::store(const DecoderLayer& layer, int row, int kv_head) {
    const int dim = shape_.head_dim, half = dim / 2, position = positions_[row];
    float* key = joined_.get() + static_cast<std::size_t>(row) * shape_.joined_width() +
                 static_cast<std::size_t>(shape_.heads + kv_head) * dim;
    const float* value = key + static_cast<std::size_t>(shape_.kv_heads) * dim;
    path_->rotate(key, cosines_.get() + row * half, sines_.get() + row * half, dim);
    const CacheView view = cache_of(nullptr, row, kv_head);
    const std::size_t at = static_cast<std::size_t>(view.table[position / kBlockTokens]) * view.block_stride +
                           view.head_offset + static_cast<std::size_t>(position % kBlockTokens) * dim;
    for (int one = 0; one < dim; ++one) {
        if (is_bf16_) {
            static_cast<std::uint16_t*>(layer.keys)[at + one] = to_bf16(key[one]);
            static_cast<std::uint16_t*>(layer.values)[at + one] = to_bf16(value[one]);
        } else {
            static_cast<float*>(layer.keys)[at + one] = key[one];
            static_cast<float*>(layer.values)[at + one] = value[one];
        }
    }
}

void DecodeStep::join(const PackedMatrix& next, int row, int thread) {
    const int dim = shape_.head_dim, pieces = shape_.max_pieces();
    float* mixed = mixed_.get() + static_cast<std::size_t>(row) * shape_.heads * dim;
    for (int head = 0; head < shape_.heads; ++head) {
        const std::size_t at = (static_cast<std::size_t>(row) * shape_.heads + head) * pieces;
        path_->join({largest_.get() + at, exponentials_.get() + at, weighted_.get() + at * dim, pieces_of(row), dim},
                    factors_.get() + static_cast<std::size_t>(thread) * pieces, mixed + head * dim);
    }
    quantise_row(mixed, row, next);
}

}  // namespace smallsight

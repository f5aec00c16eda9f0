#include "decode_step.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

namespace smallsight {

namespace {

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Returns the first of `count` that belongs to a unit.
int share_of(int count, int unit, int units) {
    return static_cast<int>(static_cast<long long>(count) * unit / units);
}

void check(const DecoderShape& shape, std::size_t frequencies) {
    const bool fits = shape.layers > 0 && shape.hidden % kLanes == 0 && shape.ffn % kLanes == 0 &&
                      shape.head_dim % kLanes == 0 && shape.head_dim <= kMaxHeadDim && shape.kv_heads > 0 &&
                      shape.heads % shape.kv_heads == 0 && shape.context_tokens > 0 && shape.max_rows >= kMaxPieces;
    if (!fits) throw std::invalid_argument("sizes must be multiples of 16, heads a multiple of key heads");
    if ((frequencies == 0) != (shape.kind == LayerKind::kCross) ||
        frequencies * 2 > static_cast<std::size_t>(shape.head_dim))
        throw std::invalid_argument("there must be a frequency for each rotated pair of dimensions");
    const bool has_own_keys = shape.heads == shape.kv_heads && shape.heads * shape.head_dim == shape.hidden;
    if (shape.kind == LayerKind::kCross && !has_own_keys)
        throw std::invalid_argument("a decoder with cross layers has a key head for each head");
}

}  // namespace

DecodeStep::DecodeStep(const DecoderShape& shape, std::vector<float> frequencies, int threads,
                       const KernelPath* path)
    : shape_((check(shape, frequencies.size()), shape)),
      frequencies_(std::move(frequencies)),
      path_(path),
      layers_(shape.layers),
      seconds_(kParts, 0.0),
      tables_(static_cast<std::size_t>(kMaxPieces) * shape.max_blocks()),
      positions_(shape.max_rows),
      visible_(shape.max_rows),
      table_of_(shape.max_rows),
      lone_of_(shape.max_rows),
      threads_(std::max(1, threads)),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    const std::size_t widest = std::max({shape.hidden, shape.ffn, shape.heads * shape.head_dim});
    const std::size_t rows = (shape.max_rows + kLanes - 1) / kLanes * kLanes;  // products read whole tiles
    const std::size_t dim = shape.head_dim, lone = static_cast<std::size_t>(kMaxPieces) * shape.heads * shape.max_pieces();
    scratch_.codes = aligned_array<std::int8_t>(rows * widest);
    scratch_.scales = aligned_array<float>(rows * widest / 8);
    scratch_.sums = aligned_array<std::int32_t>(rows * widest / 8);
    hidden_ = aligned_array<float>(rows * shape.hidden);
    normed_ = aligned_array<float>(rows * shape.hidden);
    joined_ = aligned_array<float>(rows * shape.joined_width());
    mixed_ = aligned_array<float>(rows * shape.heads * dim);
    inner_ = aligned_array<float>(rows * shape.ffn);
    cosines_ = aligned_array<float>(rows * frequencies_.size());
    sines_ = aligned_array<float>(rows * frequencies_.size());
    largest_ = aligned_array<float>(lone);
    std::fill_n(largest_.get(), lone, 0.0f);  // joining reads whole vectors
    exponentials_ = aligned_array<float>(lone);
    weighted_ = aligned_array<float>(lone * dim);
    const int pairs = kGroupRows * shape.group_heads();
    const std::size_t pieces = static_cast<std::size_t>(pairs) * shape.max_pieces();
    for (ThreadScratch& one : threads_) {
        one.product = aligned_array<std::int8_t>(product_scratch(static_cast<int>(widest)));
        one.rows = aligned_array<float>(rows_scratch(pairs, shape.head_dim));
        one.largest = aligned_array<float>(pieces);
        std::fill_n(one.largest.get(), pieces, 0.0f);
        one.exponentials = aligned_array<float>(pieces);
        one.weighted = aligned_array<float>(pieces * dim);
        one.factors = aligned_array<float>(shape.max_pieces());
    }
    lone_rows_.reserve(kMaxPieces);
    wanted_rows_.reserve(kMaxPieces);
    groups_.reserve(shape.max_rows);
    memory_groups_.reserve(kMaxPieces);
    in_order_.resize(shape.max_blocks());
    std::iota(in_order_.begin(), in_order_.end(), 0);
}

void DecodeStep::set_head(Norm norm, Linear head) {
    outer_norm_ = std::move(norm);
    head_ = std::move(head);
}

std::size_t DecodeStep::weight_bytes() const {
    std::size_t total = head_.matrix.num_bytes();
    for (const DecoderLayer& layer : layers_)
        for (const Linear* one : {&layer.attention, &layer.output, &layer.ffn_up, &layer.ffn_down, &layer.cross_query,
                                  &layer.cross_output})
            total += one->matrix.num_bytes();
    return total;
}

void DecodeStep::run(const StepPieces& pieces) {
    plan(pieces);
    team_.run();
}

void DecodeStep::plan(const StepPieces& pieces) {
    lone_rows_.clear();
    wanted_rows_.clear();
    groups_.clear();
    memory_groups_.clear();
    int rows = 0, lone_pieces = 0;
    for (int piece = 0; piece < pieces.count; ++piece) {
        plan_piece(pieces, piece, rows);
        rows += pieces.lengths[piece];
        if (pieces.wants_logits[piece] != 0) wanted_rows_.push_back(rows - 1);
    }
    for (const int row : lone_rows_) lone_pieces += pieces_of(row) * shape_.kv_heads;
    embeddings_ = pieces.embeddings;
    logits_ = pieces.logits;
    last_hidden_ = pieces.last_hidden;
    num_rows_.store(rows);
    num_wanted_.store(static_cast<int>(wanted_rows_.size()));
    num_group_units_.store(static_cast<int>(groups_.size()) * shape_.kv_heads);
    num_lone_pieces_.store(lone_pieces);
    num_memory_units_.store(static_cast<int>(memory_groups_.size()) * shape_.heads);
}

void DecodeStep::plan_piece(const StepPieces& pieces, int piece, int first_row) {
    const int length = pieces.lengths[piece], position = pieces.positions[piece], prefix = pieces.prefixes[piece];
    const int table = piece * shape_.max_blocks();
    std::copy_n(pieces.tables + pieces.table_begins[piece], (position + length - 1) / kBlockTokens + 1,
                tables_.begin() + table);
    for (int at = 0; at < length; ++at) {
        const int row = first_row + at;
        positions_[row] = position + at;
        visible_[row] = position + at < prefix ? prefix : position + at + 1;
        table_of_[row] = table;
        lone_of_[row] = length == 1 ? static_cast<int>(lone_rows_.size()) : -1;
    }
    if (length == 1) lone_rows_.push_back(first_row);
    if (pieces.memories != nullptr) {
        const Memory& memory = pieces.memories[piece];
        const bool is_known = !memory_groups_.empty() && memory_groups_.back().memory.base == memory.base;
        if (!is_known) memory_groups_.push_back({memory, first_row, 0});
        memory_groups_.back().count += length;
    }
    for (int at = 0; length > 1 && at < length; at += kGroupRows)
        groups_.push_back({first_row + at, std::min(kGroupRows, length - at)});
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
    if (turn.thread != 0 || !is_timed_) return;
    const double now = now_s();
    seconds_[part] += now - part_started_s_;
    part_started_s_ = now;
}

void DecodeStep::work(Turn& turn) {
    if (turn.thread == 0 && is_timed_) part_started_s_ = now_s();
    share_rows(turn, [&](int row) {
        const std::size_t at = static_cast<std::size_t>(row) * shape_.hidden;
        if (shape_.has_last_norm()) {
            std::memcpy(hidden_.get() + at, embeddings_ + at, shape_.hidden * sizeof(float));
            set_angles(row);
        } else {
            path_->layer_norm(embeddings_ + at, outer_norm_.weight.data(), outer_norm_.bias.data(), shape_.epsilon,
                              shape_.hidden, hidden_.get() + at);
            quantise_row(hidden_.get() + at, row, layers_[0].attention.matrix);
        }
    });
    for (const DecoderLayer& layer : layers_) {
        switch (shape_.kind) {
            case LayerKind::kGated: run_layer(layer, turn); break;
            case LayerKind::kParallel: run_parallel_layer(layer, turn); break;
            case LayerKind::kCross: run_cross_layer(layer, turn);
        }
    }
    compute_head(turn);
}

void DecodeStep::run_layer(const DecoderLayer& layer, Turn& turn) {
    norm_and_quantise(layer.attention_norm, layer.attention, turn);
    compute_attention(layer, turn);
    multiply(layer.output, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
    norm_and_quantise(layer.ffn_norm, layer.ffn_up, turn);
    multiply(layer.ffn_up, inner_.get(), shape_.ffn, Epilogue::kGate, turn);
    share_rows(turn, [&](int row) {
        quantise_row(inner_.get() + static_cast<std::size_t>(row) * shape_.ffn, row, layer.ffn_down.matrix);
    });
    end_part(kNorms, turn);
    multiply(layer.ffn_down, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
}

// The feed-forward network comes first up to its inner values, which read the same codes as attention does.
void DecodeStep::run_parallel_layer(const DecoderLayer& layer, Turn& turn) {
    norm_and_quantise(layer.attention_norm, layer.attention, turn);
    multiply(layer.ffn_up, inner_.get(), shape_.ffn, Epilogue::kGelu, turn);
    compute_attention(layer, turn);
    multiply(layer.output, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
    share_rows(turn, [&](int row) {
        quantise_row(inner_.get() + static_cast<std::size_t>(row) * shape_.ffn, row, layer.ffn_down.matrix);
    });
    end_part(kNorms, turn);
    multiply(layer.ffn_down, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
}

// Rows come and go normalised; the codes are those of the next layer's inputs, or of nothing after the last.
void DecodeStep::run_cross_layer(const DecoderLayer& layer, Turn& turn) {
    compute_attention(layer, turn);
    multiply(layer.output, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
    renorm(layer.attention_norm, layer.cross_query, turn);
    multiply(layer.cross_query, joined_.get(), shape_.hidden, Epilogue::kStore, turn);
    attend_to_memory(layer, turn);
    multiply(layer.cross_output, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
    renorm(layer.cross_norm, layer.ffn_up, turn);
    multiply(layer.ffn_up, inner_.get(), shape_.ffn, Epilogue::kExactGelu, turn);
    share_rows(turn, [&](int row) {
        quantise_row(inner_.get() + static_cast<std::size_t>(row) * shape_.ffn, row, layer.ffn_down.matrix);
    });
    end_part(kNorms, turn);
    multiply(layer.ffn_down, hidden_.get(), shape_.hidden, Epilogue::kAdd, turn);
    const std::size_t next = &layer - layers_.data() + 1;
    renorm(layer.ffn_norm, next < layers_.size() ? layers_[next].attention : head_, turn);
}

// Normalises rows in place, and rounds them for a matrix.
void DecodeStep::renorm(const Norm& norm, const Linear& next, Turn& turn) {
    share_rows(turn, [&](int row) {
        float* values = hidden_.get() + static_cast<std::size_t>(row) * shape_.hidden;
        path_->layer_norm(values, norm.weight.data(), norm.bias.data(), shape_.epsilon, shape_.hidden, values);
        quantise_row(values, row, next.matrix);
    });
    end_part(kNorms, turn);
}

// Computes queries, keys and values from quantised rows, and attention up to the quantised inputs of `output`.
void DecodeStep::compute_attention(const DecoderLayer& layer, Turn& turn) {
    multiply(layer.attention, joined_.get(), shape_.joined_width(), Epilogue::kStore, turn);
    share_rows(turn, [&](int row) { store(layer, row); });
    const auto units = [&] { return num_group_units_.load() + units_of(num_lone_pieces_.load()); };
    team_.share(turn, units, [&](int unit) { attend_unit(layer, unit, turn.thread); });
    end_part(kAttention, turn);
    share_rows(turn, [&](int row) {
        if (lone_of_[row] >= 0) join(lone_of_[row], turn.thread);
        quantise_row(mixed_.get() + static_cast<std::size_t>(row) * shape_.heads * shape_.head_dim, row,
                     layer.output.matrix);
    });
    end_part(kJoin, turn);
}

// Computes the rows that are wanted. Their codes are the first ones.
void DecodeStep::compute_head(Turn& turn) {
    const auto at_least_one = [&] { return std::max(1, num_wanted_.load()); };
    team_.share(turn, at_least_one, [&](int wanted) {
        if (wanted >= num_wanted_.load()) return;
        const float* from = hidden_.get() + static_cast<std::size_t>(wanted_rows_[wanted]) * shape_.hidden;
        std::memcpy(last_hidden_ + static_cast<std::size_t>(wanted) * shape_.hidden, from,
                    shape_.hidden * sizeof(float));
        if (shape_.has_last_norm()) {
            norm_row(outer_norm_, from, wanted, head_.matrix);
        } else {
            quantise_row(from, wanted, head_.matrix);
        }
    });
    team_.share(turn, [&] { return units_of(head_.matrix.blocks); }, [&](int unit) {
        const int rows = num_wanted_.load();
        if (rows == 0) return;
        const std::size_t vocabulary = shape_.vocabulary;
        multiply_rows(head_, unit, rows,
                      {logits_, vocabulary, shape_.vocabulary, Epilogue::kStore, head_.bias_or_null()}, turn);
    });
    end_part(kHead, turn);
}

void DecodeStep::norm_and_quantise(const Norm& norm, const Linear& next, Turn& turn) {
    share_rows(turn, [&](int row) {
        norm_row(norm, hidden_.get() + static_cast<std::size_t>(row) * shape_.hidden, row, next.matrix);
    });
    end_part(kNorms, turn);
}

void DecodeStep::norm_row(const Norm& norm, const float* values, int row, const PackedMatrix& next) {
    float* normed = normed_.get() + static_cast<std::size_t>(row) * shape_.hidden;
    if (norm.bias.empty()) {
        path_->norm(values, norm.weight.data(), shape_.epsilon, shape_.hidden, normed);
    } else {
        path_->layer_norm(values, norm.weight.data(), norm.bias.data(), shape_.epsilon, shape_.hidden, normed);
    }
    quantise_row(normed, row, next);
}

QuantisedRows DecodeStep::quantised(const PackedMatrix& next) {
    return {scratch_.codes.get(), scratch_.scales.get(), scratch_.sums.get(), next.inputs, next.groups()};
}

void DecodeStep::quantise_row(const float* values, int row, const PackedMatrix& next) {
    path_->quantise(values, next.group, row, quantised(next));
}

void DecodeStep::multiply(const Linear& linear, float* values, int width, Epilogue epilogue, Turn& turn) {
    const int together = epilogue == Epilogue::kGate ? 2 : 1;
    const ProductTarget target = {values, static_cast<std::size_t>(width), width, epilogue, linear.bias_or_null()};
    team_.share(turn, [&] { return units_of(linear.matrix.blocks / together); },
                [&](int unit) { multiply_rows(linear, unit, num_rows_.load(), target, turn); });
    end_part(kProducts, turn);
}

void DecodeStep::multiply_rows(const Linear& linear, int unit, int rows, const ProductTarget& target, Turn& turn) {
    const int together = target.epilogue == Epilogue::kGate ? 2 : 1;
    const int groups = linear.matrix.blocks / together, units = units_of(groups);
    const int begin = share_of(groups, unit, units) * together, end = share_of(groups, unit + 1, units) * together;
    path_->multiply(linear.matrix, begin, end, quantised(linear.matrix), rows, target,
                    threads_[turn.thread].product.get());
}

void DecodeStep::set_angles(int row) {
    const std::size_t pairs = frequencies_.size();
    for (std::size_t at = 0; at < pairs; ++at) {
        const float angle = static_cast<float>(positions_[row]) * frequencies_[at];
        cosines_[row * pairs + at] = std::cos(angle);
        sines_[row * pairs + at] = std::sin(angle);
    }
}

}  // namespace smallsight

// An encoder's weights and memory.
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "encoder.hpp"

namespace smallsight {

namespace {

constexpr int kInnerSteps = 6;  // of a segment of inner values

std::vector<int> padded_order(int outputs, int padded) {
    std::vector<int> order(padded, -1);
    std::iota(order.begin(), order.begin() + outputs, 0);
    return order;
}

void check(const EncoderShape& shape) {
    const bool fits = shape.layers > 0 && shape.heads > 0 && shape.hidden % shape.heads == 0 && shape.patches > 0 &&
                      shape.most_images > 0 &&
                      shape.hidden % kLanes == 0 && shape.ffn % kLanes == 0 && shape.patch_width % kLanes == 0;
    if (!fits) throw std::invalid_argument("sizes must be multiples of 16");
    if (shape.padded_dim() > kMostHead) throw std::invalid_argument("a head has too many dimensions");
}

// The widest rows a matrix can have as inputs, in either number.
int widest(int inputs) {
    return std::max(segments_of(inputs, most_steps(Number::kInt8)).values(),
                    segments_of(inputs, most_steps(Number::kBf16)).values());
}

std::size_t panel_bytes(int inputs) {
    return static_cast<std::size_t>(2 * kPanel) * widest(inputs);
}

}  // namespace

Encoder::Encoder(const EncoderShape& shape, int threads, const EncoderPath* path)
    : shape_((check(shape), shape)),
      path_(path),
      inner_segments_(segments_of(shape.ffn, kInnerSteps)),
      layers_(shape.layers),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    allocate();
}

Encoder::Encoder(const Encoder& other, int threads)
    : shape_(other.shape_),
      path_(other.path_),
      inner_segments_(other.inner_segments_),
      embedding_(other.embedding_),
      positions_(other.positions_),
      layers_(other.layers_),
      first_norm_(other.first_norm_),
      final_norm_(other.final_norm_),
      connector_(other.connector_),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    allocate();
    if (connector_.factor != 0) allocate_squares();
}

void Encoder::allocate() {
    const std::size_t images = shape_.most_images, rows = images * shape_.panels() * kPanel;
    hidden_ = floats(rows * shape_.padded_hidden());
    for (Heads& heads : heads_)
        for (auto* one : {&heads.queries, &heads.keys, &heads.values})
            *one = arena_.take(images * head_bytes() * shape_.heads);
    for (int thread = 0; thread < team_.size(); ++thread) scratch_.push_back(new_scratch());
}

std::size_t Encoder::most_rows() const {
    int most = 0;
    for (int images = 1; images <= shape_.most_images; ++images) {
        const Division division = division_of(images);
        most = std::max(most, division.images_of_unit * division.panels_of_unit);
    }
    return static_cast<std::size_t>(most) * kPanel;
}

void Encoder::allocate_squares() {
    const Segments& segments = connector_.matrix.segments;
    const int rows = padded_to(shape_.most_images * output_rows(), kPanel);
    squares_ = floats(static_cast<std::size_t>(rows) * segments.values());
    square_rows_ = arena_.take(rows / kPanel * segments.count * row_segment_bytes(Number::kBf16, segments));
}

Encoder::Scratch Encoder::new_scratch() {
    const std::size_t rows = most_rows(), panels = shape_.panels();
    const std::size_t staged = division_of(shape_.most_images).images_of_unit > 1 ? rows : kPanel;
    const int inputs = std::max(shape_.hidden, shape_.patch_width);
    const int scales = widest(inputs) / kStepValues;  // of a row, at most
    Scratch scratch;
    scratch.row = floats(widest(inputs));
    scratch.mixed = floats(rows * mixed_stride());
    scratch.staging = floats(staged * std::max(inner_width(), shape_.padded_dim()));
    scratch.first = floats(padded_to(shape_.most_images, kPanel) * static_cast<std::size_t>(shape_.padded_hidden()));
    scratch.rows = {arena_.take(rows / kPanel * panel_bytes(inputs)), floats(rows * scales), floats(rows * scales)};
    scratch.inner = {arena_.take(rows * inner_width() * 2), floats(rows * kInnerSteps), floats(rows * kInnerSteps)};
    scratch.shares = arena_.take(panels * path_->share_tiles * kTileBytes);
    return scratch;
}

// A head's padding may reach past the last one.
std::size_t Encoder::mixed_stride() const { return padded_to(widest(shape_.hidden) + kPanel, kLanes); }

int Encoder::outputs_of(int index) const {
    return index == 0 ? 3 * shape_.hidden : index == 2 ? shape_.ffn : shape_.hidden;
}

int Encoder::output_rows() const {
    if (shape_.has_first_token) return 1;
    return connector_.factor == 0 ? shape_.patches : shape_.patches / (connector_.factor * connector_.factor);
}

std::size_t Encoder::weight_bytes() const {
    std::size_t total = embedding_.num_bytes() + connector_.matrix.num_bytes();
    for (const EncoderLayer& layer : layers_)
        total += layer.attention.num_bytes() + layer.output.num_bytes() + layer.up.num_bytes() + layer.down.num_bytes();
    return total;
}

void Encoder::set_embedding(const float* weight, const float* positions) {
    embedding_ = pack_panels({weight, nullptr, shape_.patch_width, padded_order(shape_.hidden, shape_.padded_hidden())},
                             Number::kBf16, most_steps(Number::kBf16), arena_);
    positions_.assign(positions, positions + static_cast<std::size_t>(shape_.tokens()) * shape_.hidden);
}

void Encoder::set_norms(int layer, LayerNorm attention_norm, LayerNorm ffn_norm) {
    layers_.at(layer).attention_norm = std::move(attention_norm);
    layers_.at(layer).ffn_norm = std::move(ffn_norm);
}

void Encoder::set_matrix(int layer, int index, const float* weight, const float* bias, Number number,
                         bool in_groups) {
    if (in_groups && !path_->takes_groups) throw std::invalid_argument("this path has one scale for a row's segment");
    if ((number == Number::kInt7 || number == Number::kInt16) && !path_->takes_other_bits)
        throw std::invalid_argument("this path multiplies activations of 8 bits or bfloat16");
    EncoderLayer& into = layers_.at(layer);
    std::vector<int> order = padded_order(outputs_of(index), padded_to(outputs_of(index), kPanel));
    if (index == 0) {
        const int dims = shape_.padded_dim(), size = shape_.head_dim();
        order.assign(static_cast<std::size_t>(3) * shape_.heads * dims, -1);
        for (int head = 0; head < 3 * shape_.heads; ++head)
            std::iota(order.begin() + head * dims, order.begin() + head * dims + size, head * size);
    } else if (index == 2) {
        order.resize(inner_segments_.values(), -1);
    }
    PanelMatrix* const matrices[] = {&into.attention, &into.output, &into.up, &into.down};
    const int most = index == 3 ? kInnerSteps : most_steps(number);
    *matrices[index] = pack_panels({weight, bias, inputs_of(index), std::move(order), in_groups}, number, most, arena_);
}

void Encoder::set_connector(const float* weight, int outputs, int factor) {
    const int inputs = shape_.hidden * factor * factor;
    connector_ = {factor, outputs,
                  pack_panels({weight, nullptr, inputs, padded_order(outputs, padded_to(outputs, kPanel))},
                              Number::kBf16, most_steps(Number::kBf16), arena_)};
    allocate_squares();
}

}  // namespace smallsight

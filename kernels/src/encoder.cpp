#include "encoder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

namespace smallsight {

namespace {

constexpr int kMostUnitPanels = 16;  // 512 rows; fewer read the weights more often, which costs more
constexpr int kInnerSteps = 6;      // of a segment of inner values
constexpr std::size_t kChunkBytes = 300 << 10;  // of weights that are used for all rows of a unit, one after the other
constexpr float kLog2E = 1.44269504f;

std::vector<int> padded_order(int outputs, int padded) {
    std::vector<int> order(padded, -1);
    std::iota(order.begin(), order.begin() + outputs, 0);
    return order;
}

void check(const EncoderShape& shape) {
    const bool fits = shape.layers > 0 && shape.heads > 0 && shape.hidden % shape.heads == 0 && shape.patches > 0 &&
                      shape.hidden % kLanes == 0 && shape.ffn % kLanes == 0 && shape.patch_width % kLanes == 0;
    if (!fits) throw std::invalid_argument("sizes must be multiples of 16");
    if (shape.padded_dim() > kMostHead) throw std::invalid_argument("a head has too many dimensions");
}

// Panels of a matrix that are read next, to be fetched in `parts` while others are multiplied; returns where a part
// begins.
struct NextPanels {
    const PanelMatrix& matrix;
    int first;
    int parts;
    int only_segment = -1;  // or all of them

    const std::uint8_t* part(int index, std::size_t part_bytes) const {
        if (only_segment >= 0) return matrix.panel(only_segment, first) + index * part_bytes;
        const int segment = index * matrix.segments.count / parts;
        const int begins = (segment * parts + matrix.segments.count - 1) / matrix.segments.count;
        return matrix.panel(segment, first) + (index - begins) * part_bytes;
    }
};

// How many panels are one chunk.
int chunk_panels(const PanelMatrix& matrix) {
    const std::size_t bytes = matrix.segments.count * matrix.panel_bytes();
    return std::max(1, static_cast<int>(kChunkBytes / bytes));
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
      final_norm_(other.final_norm_),
      connector_(other.connector_),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    allocate();
    if (connector_.factor != 0) allocate_squares();
}

void Encoder::allocate() {
    const int panels = shape_.panels();
    unit_panels_ = std::clamp((panels + team_.size() - 1) / team_.size(), 1, kMostUnitPanels);
    // A chunk of weights is fetched while the panels of a unit are multiplied, so that few of them fetch more each.
    if (path_->fetches_more && unit_panels_ < kMostUnitPanels / 2) tile_ahead_bytes_ = kMoreAheadBytes;
    if (path_->fetches_any)
        tile_ahead_bytes_ = std::min(padded_to(2 * kTileBytes / unit_panels_, kLanes * 4), kMostAheadBytes);
    hidden_ = floats(static_cast<std::size_t>(panels) * kPanel * shape_.padded_hidden());
    for (Heads& heads : heads_)
        for (auto* one : {&heads.queries, &heads.keys, &heads.values}) *one = arena_.take(head_bytes() * shape_.heads);
    for (int thread = 0; thread < team_.size(); ++thread) scratch_.push_back(new_scratch());
}

void Encoder::allocate_squares() {
    const Segments& segments = connector_.matrix.segments;
    const int rows = padded_to(output_rows(), kPanel);
    squares_ = floats(static_cast<std::size_t>(rows) * segments.values());
    square_rows_ = arena_.take(rows / kPanel * segments.count * row_segment_bytes(Number::kBf16, segments));
}

Encoder::Scratch Encoder::new_scratch() {
    const std::size_t rows = static_cast<std::size_t>(unit_panels_) * kPanel, panels = shape_.panels();
    const int inputs = std::max(shape_.hidden, shape_.patch_width);
    const int scales = widest(inputs) / kStepValues;  // of a row, at most
    Scratch scratch;
    scratch.row = floats(widest(inputs));
    scratch.mixed = floats(rows * mixed_stride());
    scratch.staging = floats(static_cast<std::size_t>(kPanel) * std::max(inner_width(), shape_.padded_dim()));
    scratch.rows = {arena_.take(unit_panels_ * panel_bytes(inputs)), floats(rows * scales), floats(rows * scales)};
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
    positions_.assign(positions, positions + static_cast<std::size_t>(shape_.patches) * shape_.hidden);
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

std::size_t Encoder::ahead_bytes(const PanelMatrix& matrix, int panels) const {
    return static_cast<std::size_t>(panels) * matrix.segments.steps * tiles_of_step(matrix.number) * tile_ahead_bytes_;
}

int Encoder::rows_of_panel(int panel) const {
    return std::min(kPanel, padded_to(shape_.patches - panel * kPanel, path_->row_block));
}

void Encoder::run(const float* patches, float* out) {
    patches_ = patches;
    out_ = out;
    team_.run();
}

void Encoder::work(Turn& turn) {
    const int panels = shape_.panels(), units = (panels + unit_panels_ - 1) / unit_panels_;
    Scratch& scratch = scratch_[turn.thread];
    const auto share = [&](auto&& compute) {
        team_.share(turn, [&] { return units; }, [&](int unit) {
            compute(unit * unit_panels_, std::min(panels, (unit + 1) * unit_panels_));
        });
    };
    path_->begin();
    share([&](int begin, int end) { embed(begin, end, scratch); });
    for (int layer = 0; layer < shape_.layers; ++layer)
        share([&](int begin, int end) { run_layer(layer, begin, end, scratch); });
    if (connector_.factor != 0) {
        const int squares = padded_to(output_rows(), kPanel) / kPanel, outputs = connector_.matrix.panels();
        team_.share(turn, [&] { return squares; }, [&](int panel) { pack_squares(panel, scratch); });
        team_.share(turn, [&] { return outputs; }, [&](int panel) { connect(panel); });
    }
    path_->end();
}

void Encoder::embed(int begin, int end, Scratch& scratch) {
    std::fill_n(scratch.row, embedding_.segments.values(), 0.0f);
    for (int row = begin * kPanel; row < std::min(end * kPanel, shape_.patches); ++row) {
        std::memcpy(scratch.row, patches_ + static_cast<std::size_t>(row) * shape_.patch_width,
                    shape_.patch_width * sizeof(float));
        pack_row(scratch.row, row % kPanel, embedding_, row / kPanel - begin, scratch);
    }
    for (int panel = begin; panel < end; ++panel)
        multiply(embedding_, unit_panel(panel, begin), 0, embedding_.panels(), hidden_row(panel * kPanel),
                 shape_.padded_hidden(), false, scratch);
    for (int row = begin * kPanel; row < end * kPanel; ++row) {
        float* hidden = hidden_row(row);
        if (row >= shape_.patches) {
            std::fill_n(hidden, shape_.padded_hidden(), 0.0f);
            continue;
        }
        const float* positions = positions_.data() + static_cast<std::size_t>(row) * shape_.hidden;
        for (int at = 0; at < shape_.hidden; ++at) hidden[at] += positions[at];
    }
    split_heads(layers_[0], heads_[0], begin, end, scratch);
}

void Encoder::run_layer(int index, int begin, int end, Scratch& scratch) {
    const EncoderLayer& layer = layers_[index];
    join_heads(heads_[index % 2], begin, end, scratch);
    project(layer, begin, end, scratch);
    feed_forward(layer, begin, end, scratch);
    if (index + 1 < shape_.layers) {
        split_heads(layers_[index + 1], heads_[(index + 1) % 2], begin, end, scratch);
    } else {
        finish(begin, end, scratch);
    }
}

RowPanel Encoder::rows_of(const PanelMatrix& matrix, int panel, int segment, Scratch& scratch) const {
    const int at = panel * matrix.segments.count + segment;
    const std::size_t scales = static_cast<std::size_t>(scales_of_row(matrix.number, matrix.segments)) * kPanel;
    return {scratch.rows.tiles + at * row_segment_bytes(matrix.number, matrix.segments),
            scratch.rows.scales + at * scales, scratch.rows.zeros + at * scales};
}

void Encoder::pack_row(const float* values, int row, const PanelMatrix& next, int panel, Scratch& scratch) {
    const int width = next.segments.segment_values();
    for (int segment = 0; segment < next.segments.count; ++segment)
        path_->pack(values + segment * width, width, row, next.number, rows_of(next, panel, segment, scratch));
}

void Encoder::multiply(const PanelMatrix& matrix, UnitPanel panel, int begin, int end, float* out, std::size_t stride,
                       bool adds, Scratch& scratch, const std::uint8_t* ahead, bool activates) {
    for (int segment = 0; segment < matrix.segments.count; ++segment) {
        path_->multiply({&matrix, segment, begin, end, rows_of(matrix, panel.inside, segment, scratch), out, stride,
                         adds || segment > 0, ahead, tile_ahead_bytes_, panel.rows,
                         activates && segment + 1 == matrix.segments.count});
        if (ahead != nullptr) ahead += ahead_bytes(matrix, end - begin);
    }
}

void Encoder::norm_rows(const LayerNorm& norm, const PanelMatrix& next, int begin, int end, Scratch& scratch) {
    std::fill_n(scratch.row, next.segments.values(), 0.0f);
    for (int row = begin * kPanel; row < end_row(end); ++row) {
        path_->norm(hidden_row(row), norm.weight.data(), norm.bias.data(), shape_.epsilon, shape_.hidden,
                    scratch.row);
        pack_row(scratch.row, row % kPanel, next, row / kPanel - begin, scratch);
    }
}

void Encoder::split_heads(const EncoderLayer& layer, Heads& heads, int begin, int end, Scratch& scratch) {
    norm_rows(layer.attention_norm, layer.attention, begin, end, scratch);
    const int width = std::min(chunk_panels(layer.attention) * kPanel, inner_width());  // what is staged at once
    const int together = std::max(1, width / shape_.padded_dim());
    for (int first = 0; first < 3 * shape_.heads; first += together)
        split_some(layer, heads, {first, std::min(first + together, 3 * shape_.heads)}, begin, end, scratch);
}

// Computes heads that are one chunk; heads of queries come first, then those of keys, then of values.
void Encoder::split_some(const EncoderLayer& layer, Heads& heads, HeadRange range, int begin, int end, Scratch& scratch) {
    const int dims = shape_.padded_dim(), dim_panels = dims / kPanel;
    const auto [first, last] = range;
    const int next_head = std::min(last, 3 * shape_.heads - 1);
    const std::size_t key_panel = static_cast<std::size_t>(dims) * kPanel * 2;
    const std::size_t stride = static_cast<std::size_t>(last - first) * dims;
    const float scale = kLog2E / std::sqrt(static_cast<float>(shape_.head_dim()));
    const NextPanels next = {layer.attention, next_head * dim_panels, end - begin};
    const std::size_t part = layer.attention.segments.count * ahead_bytes(layer.attention, (last - first) * dim_panels);
    float* staging = scratch.staging;
    for (int panel = begin; panel < end; ++panel) {
        multiply(layer.attention, unit_panel(panel, begin), first * dim_panels, last * dim_panels, staging, stride, false,
                 scratch, next.part(panel - begin, part));
        // Zeros for rows that are not computed: what an earlier image left there could be infinite.
        std::fill(staging + rows_of_panel(panel) * stride, staging + kPanel * stride, 0.0f);
        for (int number = first; number < last; ++number) {
            const float* values = staging + (number - first) * dims;
            const std::size_t of_head = number % shape_.heads * head_bytes(), at = of_head + panel * key_panel;
            if (number < shape_.heads) {
                path_->store_queries({values, stride, dims, heads.queries + at, 0}, scale);
            } else if (number < 2 * shape_.heads) {
                path_->store_keys({values, stride, dims, heads.keys + at, 0});
            } else {
                path_->store_values({values, stride, dims, heads.values + of_head + panel * 2 * kTileBytes,
                                     static_cast<std::size_t>(shape_.panels()) * 2 * kTileBytes});
            }
        }
    }
}

void Encoder::join_heads(const Heads& heads, int begin, int end, Scratch& scratch) {
    const int dims = shape_.padded_dim();
    for (int head = 0; head < shape_.heads; ++head) {
        const std::size_t at = head * head_bytes();
        for (int panel = begin; panel < end; ++panel) {
            float* out = scratch.mixed + (panel - begin) * kPanel * mixed_stride() + head * shape_.head_dim();
            path_->attend({heads.queries + at + panel * static_cast<std::size_t>(dims) * kPanel * 2,
                           heads.keys + at, heads.values + at, shape_.patches, dims, scratch.shares, out,
                           mixed_stride(), rows_of_panel(panel)});
        }
    }
}

void Encoder::project(const EncoderLayer& layer, int begin, int end, Scratch& scratch) {
    for (int row = begin * kPanel; row < end_row(end); ++row) {
        const int inside = row - begin * kPanel;
        pack_row(scratch.mixed + inside * mixed_stride(), row % kPanel, layer.output, inside / kPanel, scratch);
    }
    const int together = chunk_panels(layer.output), panels = layer.output.panels();
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels);
        const NextPanels next = {last < panels ? layer.output : layer.up, last < panels ? last : 0, end - begin};
        const std::size_t part = layer.output.segments.count * ahead_bytes(layer.output, last - first);
        for (int panel = begin; panel < end; ++panel)
            multiply(layer.output, unit_panel(panel, begin), first, last, hidden_row(panel * kPanel) + first * kPanel,
                     shape_.padded_hidden(), true, scratch, next.part(panel - begin, part));
    }
}

// A segment of the inner values at a time: they do not leave the L2 cache.
void Encoder::feed_forward(const EncoderLayer& layer, int begin, int end, Scratch& scratch) {
    norm_rows(layer.ffn_norm, layer.up, begin, end, scratch);
    for (int segment = 0; segment < layer.down.segments.count; ++segment) {
        widen(layer, segment, begin, end, scratch);
        narrow(layer, segment, begin, end, scratch);
    }
}

RowPanel Encoder::inner_of(const PanelMatrix& down, int panel, Scratch& scratch) const {
    const int scales = scales_of_row(down.number, down.segments) * kPanel;
    return {scratch.inner.tiles + panel * row_segment_bytes(down.number, down.segments),
            scratch.inner.scales + panel * scales, scratch.inner.zeros + panel * scales};
}

// Computes a segment of inner values. In int8 a row's segment is packed at once, because it shares a scale.
void Encoder::widen(const EncoderLayer& layer, int segment, int begin, int end, Scratch& scratch) {
    const int width = inner_width(), panels = width / kPanel, from = segment * panels;
    const bool is_whole = layer.down.number != Number::kBf16;
    const int together = is_whole ? panels : std::min(panels, padded_to(chunk_panels(layer.up), 2));
    float* staging = scratch.staging;
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels), columns = (last - first) * kPanel;
        const NextPanels next = last < panels ? NextPanels{layer.up, from + last, end - begin}
                                              : NextPanels{layer.down, 0, end - begin, segment};
        const std::size_t part = layer.up.segments.count * ahead_bytes(layer.up, last - first);
        for (int panel = begin; panel < end; ++panel) {
            multiply(layer.up, unit_panel(panel, begin), from + first, from + last, staging, columns, false, scratch,
                     next.part(panel - begin, part), path_->activates);
            RowPanel inner = inner_of(layer.down, panel - begin, scratch);
            inner.tiles += static_cast<std::size_t>(first) * kPanel * kPanel * (is_whole ? 1 : 2);
            for (int row = 0; row < rows_of_panel(panel); ++row) {
                if (!path_->activates) path_->gelu(staging + row * columns, columns);
                path_->pack(staging + row * columns, columns, row, layer.down.number, inner);
            }
        }
    }
}

// Adds what a segment of inner values contributes.
void Encoder::narrow(const EncoderLayer& layer, int segment, int begin, int end, Scratch& scratch) {
    const int panels = layer.down.panels();
    const int together = std::max(1, static_cast<int>(kChunkBytes / layer.down.panel_bytes()));
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels), up = (segment + 1) * inner_width() / kPanel;
        const NextPanels next = last < panels
                                    ? NextPanels{layer.down, last, end - begin, segment}
                                    : NextPanels{layer.up, std::min(up, layer.up.panels() - 1), end - begin};
        const std::size_t part = ahead_bytes(layer.down, last - first);
        for (int panel = begin; panel < end; ++panel)
            path_->multiply({&layer.down, segment, first, last, inner_of(layer.down, panel - begin, scratch),
                             hidden_row(panel * kPanel) + first * kPanel,
                             static_cast<std::size_t>(shape_.padded_hidden()), true, next.part(panel - begin, part),
                             tile_ahead_bytes_, rows_of_panel(panel)});
    }
}

void Encoder::finish(int begin, int end, Scratch& scratch) {
    const int factor = connector_.factor;
    const int side = factor == 0 ? 0 : static_cast<int>(std::lround(std::sqrt(static_cast<double>(shape_.patches))));
    for (int row = begin * kPanel; row < std::min(end * kPanel, shape_.patches); ++row) {
        path_->norm(hidden_row(row), final_norm_.weight.data(), final_norm_.bias.data(), shape_.epsilon, shape_.hidden,
                    scratch.row);
        float* to = out_ + static_cast<std::size_t>(row) * shape_.hidden;
        if (factor != 0) {
            const int y = row / side, x = row % side;
            const int square = y / factor * (side / factor) + x / factor, inside = y % factor * factor + x % factor;
            to = squares_ + static_cast<std::size_t>(square) * connector_.matrix.segments.values() +
                 inside * shape_.hidden;
        }
        std::memcpy(to, scratch.row, shape_.hidden * sizeof(float));
    }
}

void Encoder::pack_squares(int panel, Scratch&) {
    const Segments& segments = connector_.matrix.segments;
    const std::size_t bytes = row_segment_bytes(Number::kBf16, segments);
    for (int row = 0; row < kPanel; ++row)
        for (int segment = 0; segment < segments.count; ++segment)
            path_->pack(squares_ + static_cast<std::size_t>(panel * kPanel + row) * segments.values() +
                            segment * segments.segment_values(),
                        segments.segment_values(), row, Number::kBf16,
                        {square_rows_ + (panel * segments.count + segment) * bytes, nullptr, nullptr});
}

void Encoder::connect(int panel) {
    const PanelMatrix& matrix = connector_.matrix;
    const std::size_t bytes = row_segment_bytes(Number::kBf16, matrix.segments);
    alignas(64) float results[kPanel][kPanel];
    const int count = std::min(kPanel, connector_.outputs - panel * kPanel);
    for (int first = 0; first < output_rows(); first += kPanel) {
        for (int segment = 0; segment < matrix.segments.count; ++segment) {
            std::uint8_t* tiles = square_rows_ + (first / kPanel * matrix.segments.count + segment) * bytes;
            path_->multiply({&matrix, segment, panel, panel + 1, {tiles, nullptr, nullptr}, results[0], kPanel,
                             segment > 0});
        }
        for (int row = first; row < std::min(first + kPanel, output_rows()); ++row)
            std::memcpy(out_ + static_cast<std::size_t>(row) * connector_.outputs + panel * kPanel,
                        results[row - first], count * sizeof(float));
    }
}

}  // namespace smallsight

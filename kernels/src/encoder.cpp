#include "encoder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace smallsight {

namespace {

constexpr std::size_t kChunkBytes = 300 << 10;  // of weights that are used for all rows of a unit, one after the other
constexpr float kLog2E = 1.44269504f;

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

// The bytes that a product of this many panels fetches ahead.
std::size_t ahead_of(const PanelMatrix& matrix, int panels, int tile_bytes) {
    return static_cast<std::size_t>(panels) * matrix.segments.steps * tiles_of_step(matrix.number) * tile_bytes;
}

}  // namespace

Encoder::Unit Encoder::unit_of(int begin, int end, bool has_first_rows_only) const {
    const int step = has_first_rows_only ? shape_.panels() : 1, first = (begin + step - 1) / step * step;
    const int count = first < end ? (end - first + step - 1) / step : 0;
    return {first, count, step, ahead_of_unit(std::max(1, count)), has_first_rows_only};
}

int Encoder::tokens_of_panel(int panel) const {
    return std::min(kPanel, shape_.tokens() - panel % shape_.panels() * kPanel);
}

int Encoder::rows_of_panel(const Unit& unit, int panel) const {
    return padded_to(unit.has_first_rows_only ? 1 : tokens_of_panel(panel), path_->row_block);
}

void Encoder::run(std::vector<const float*> patches, float* out) {
    patches_ = std::move(patches);
    images_.store(static_cast<int>(patches_.size()));
    out_ = out;
    team_.run();
}

void Encoder::work(Turn& turn) {
    const int images = images_.load(), panels = images * shape_.panels();
    const int together = panels_of_unit(panels), units = (panels + together - 1) / together;
    Scratch& scratch = scratch_[turn.thread];
    const auto share = [&](bool is_last, auto&& compute) {
        team_.share(turn, [&] { return units; }, [&](int number) {
            const Unit unit = unit_of(number * together, std::min(panels, (number + 1) * together), is_last);
            if (unit.count > 0) compute(unit);
        });
    };
    path_->begin();
    share(false, [&](const Unit& unit) { embed(unit, scratch); });
    for (int layer = 0; layer < shape_.layers; ++layer)
        share(shape_.has_first_token && layer + 1 == shape_.layers,
              [&](const Unit& unit) { run_layer(layer, unit, scratch); });
    if (connector_.factor != 0) {
        const int squares = padded_to(images * output_rows(), kPanel) / kPanel, outputs = connector_.matrix.panels();
        team_.share(turn, [&] { return squares; }, [&](int panel) { pack_squares(panel, scratch); });
        team_.share(turn, [&] { return outputs; }, [&](int panel) { connect(panel); });
    }
    path_->end();
}

void Encoder::embed(const Unit& unit, Scratch& scratch) {
    const int before = shape_.tokens() - shape_.patches;  // tokens without a patch
    std::fill_n(scratch.row, embedding_.segments.values(), 0.0f);
    for (int inside = 0; inside < unit.count; ++inside) {
        const int panel = unit.panel(inside);
        const float* patches = patches_[panel / shape_.panels()];
        for (int row = 0; row < tokens_of_panel(panel); ++row) {
            const int patch = panel % shape_.panels() * kPanel + row - before;
            if (patch < 0) {
                std::fill_n(scratch.row, shape_.patch_width, 0.0f);
            } else {
                std::memcpy(scratch.row, patches + static_cast<std::size_t>(patch) * shape_.patch_width,
                            shape_.patch_width * sizeof(float));
            }
            pack_row(scratch.row, row, embedding_, inside, scratch);
        }
    }
    for (int inside = 0; inside < unit.count; ++inside)
        multiply(embedding_, unit, inside, 0, embedding_.panels(), hidden_row(unit.panel(inside)),
                 shape_.padded_hidden(), false, scratch);
    for (int inside = 0; inside < unit.count; ++inside) place_panel(unit.panel(inside));
    split_heads(layers_[0], heads_[0], unit, scratch);
}

// Adds positions to embedded patches, and zeros after the last.
void Encoder::place_panel(int panel) {
    const int tokens = tokens_of_panel(panel), first = panel % shape_.panels() * kPanel;
    for (int row = 0; row < tokens; ++row) {
        float* hidden = hidden_row(panel, row);
        const float* positions = positions_.data() + static_cast<std::size_t>(first + row) * shape_.hidden;
        for (int at = 0; at < shape_.hidden; ++at) hidden[at] += positions[at];
        if (shape_.has_first_token)
            path_->norm(hidden, first_norm_.weight.data(), first_norm_.bias.data(), shape_.epsilon, shape_.hidden,
                        hidden);
    }
    for (int row = tokens; row < kPanel; ++row) std::fill_n(hidden_row(panel, row), shape_.padded_hidden(), 0.0f);
}

void Encoder::run_layer(int index, const Unit& unit, Scratch& scratch) {
    const EncoderLayer& layer = layers_[index];
    join_heads(heads_[index % 2], unit, scratch);
    project(layer, unit, scratch);
    feed_forward(layer, unit, scratch);
    if (index + 1 < shape_.layers) {
        split_heads(layers_[index + 1], heads_[(index + 1) % 2], unit, scratch);
    } else {
        finish(unit, scratch);
    }
}

RowPanel Encoder::rows_of(const PanelMatrix& matrix, int inside, int segment, Scratch& scratch) const {
    const int at = inside * matrix.segments.count + segment;
    const std::size_t scales = static_cast<std::size_t>(scales_of_row(matrix.number, matrix.segments)) * kPanel;
    return {scratch.rows.tiles + at * row_segment_bytes(matrix.number, matrix.segments),
            scratch.rows.scales + at * scales, scratch.rows.zeros + at * scales};
}

void Encoder::pack_row(const float* values, int row, const PanelMatrix& next, int inside, Scratch& scratch) {
    const int width = next.segments.segment_values();
    for (int segment = 0; segment < next.segments.count; ++segment)
        path_->pack(values + segment * width, width, row, next.number, rows_of(next, inside, segment, scratch));
}

void Encoder::multiply(const PanelMatrix& matrix, const Unit& unit, int inside, int begin, int end, float* out,
                       std::size_t stride, bool adds, Scratch& scratch, const std::uint8_t* ahead,
                       Activation activation) {
    const int rows = rows_of_panel(unit, unit.panel(inside));
    for (int segment = 0; segment < matrix.segments.count; ++segment) {
        path_->multiply({&matrix, segment, begin, end, rows_of(matrix, inside, segment, scratch), out, stride,
                         adds || segment > 0, ahead, unit.ahead_bytes, rows,
                         segment + 1 == matrix.segments.count ? activation : Activation::kNone});
        if (ahead != nullptr) ahead += ahead_of(matrix, end - begin, unit.ahead_bytes);
    }
}

void Encoder::norm_rows(const LayerNorm& norm, const PanelMatrix& next, const Unit& unit, Scratch& scratch) {
    std::fill_n(scratch.row, next.segments.values(), 0.0f);
    for (int inside = 0; inside < unit.count; ++inside)
        for (int row = 0; row < rows_of_panel(unit, unit.panel(inside)); ++row) {
            path_->norm(hidden_row(unit.panel(inside), row), norm.weight.data(), norm.bias.data(), shape_.epsilon,
                        shape_.hidden, scratch.row);
            pack_row(scratch.row, row, next, inside, scratch);
        }
}

void Encoder::split_heads(const EncoderLayer& layer, Heads& heads, const Unit& unit, Scratch& scratch) {
    norm_rows(layer.attention_norm, layer.attention, unit, scratch);
    const int width = std::min(chunk_panels(layer.attention) * kPanel, inner_width());  // what is staged at once
    const int together = std::max(1, width / shape_.padded_dim());
    for (int first = 0; first < 3 * shape_.heads; first += together)
        split_some(layer, heads, {first, std::min(first + together, 3 * shape_.heads)}, unit, scratch);
}

// Computes heads that are one chunk; heads of queries come first, then those of keys, then of values.
void Encoder::split_some(const EncoderLayer& layer, Heads& heads, HeadRange range, const Unit& unit, Scratch& scratch) {
    const int dims = shape_.padded_dim(), dim_panels = dims / kPanel;
    const auto [first, last] = range;
    const int next_head = std::min(last, 3 * shape_.heads - 1);
    const std::size_t key_panel = static_cast<std::size_t>(dims) * kPanel * 2;
    const std::size_t stride = static_cast<std::size_t>(last - first) * dims;
    const float scale = kLog2E / std::sqrt(static_cast<float>(shape_.head_dim()));
    const NextPanels next = {layer.attention, next_head * dim_panels, unit.count};
    const std::size_t part =
        layer.attention.segments.count * ahead_of(layer.attention, (last - first) * dim_panels, unit.ahead_bytes);
    float* staging = scratch.staging;
    for (int inside = 0; inside < unit.count; ++inside) {
        const int panel = unit.panel(inside), image = panel / shape_.panels(), of_image = panel % shape_.panels();
        multiply(layer.attention, unit, inside, first * dim_panels, last * dim_panels, staging, stride, false, scratch,
                 next.part(inside, part));
        // Zeros for rows that are not computed: what an earlier image left there could be infinite.
        std::fill(staging + rows_of_panel(unit, panel) * stride, staging + kPanel * stride, 0.0f);
        for (int number = first; number < last; ++number) {
            const float* values = staging + (number - first) * dims;
            const std::size_t of_head =
                (static_cast<std::size_t>(image) * shape_.heads + number % shape_.heads) * head_bytes();
            const std::size_t at = of_head + of_image * key_panel;
            if (number < shape_.heads) {
                path_->store_queries({values, stride, dims, heads.queries + at, 0}, scale);
            } else if (number < 2 * shape_.heads) {
                path_->store_keys({values, stride, dims, heads.keys + at, 0});
            } else {
                path_->store_values({values, stride, dims, heads.values + of_head + of_image * 2 * kTileBytes,
                                     static_cast<std::size_t>(shape_.panels()) * 2 * kTileBytes});
            }
        }
    }
}

void Encoder::join_heads(const Heads& heads, const Unit& unit, Scratch& scratch) {
    const int dims = shape_.padded_dim();
    for (int head = 0; head < shape_.heads; ++head) {
        for (int inside = 0; inside < unit.count; ++inside) {
            const int panel = unit.panel(inside), image = panel / shape_.panels(), of_image = panel % shape_.panels();
            const std::size_t at = (static_cast<std::size_t>(image) * shape_.heads + head) * head_bytes();
            float* out = scratch.mixed + inside * kPanel * mixed_stride() + head * shape_.head_dim();
            path_->attend({heads.queries + at + of_image * static_cast<std::size_t>(dims) * kPanel * 2,
                           heads.keys + at, heads.values + at, shape_.tokens(), dims, scratch.shares, out,
                           mixed_stride(), rows_of_panel(unit, panel)});
        }
    }
}

void Encoder::project(const EncoderLayer& layer, const Unit& unit, Scratch& scratch) {
    for (int inside = 0; inside < unit.count; ++inside)
        for (int row = 0; row < rows_of_panel(unit, unit.panel(inside)); ++row)
            pack_row(scratch.mixed + (inside * kPanel + row) * mixed_stride(), row, layer.output, inside, scratch);
    const int together = chunk_panels(layer.output), panels = layer.output.panels();
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels);
        const NextPanels next = {last < panels ? layer.output : layer.up, last < panels ? last : 0, unit.count};
        const std::size_t part = layer.output.segments.count * ahead_of(layer.output, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.count; ++inside)
            multiply(layer.output, unit, inside, first, last, hidden_row(unit.panel(inside)) + first * kPanel,
                     shape_.padded_hidden(), true, scratch, next.part(inside, part));
    }
}

// A segment of the inner values at a time: they do not leave the L2 cache.
void Encoder::feed_forward(const EncoderLayer& layer, const Unit& unit, Scratch& scratch) {
    norm_rows(layer.ffn_norm, layer.up, unit, scratch);
    for (int segment = 0; segment < layer.down.segments.count; ++segment) {
        widen(layer, segment, unit, scratch);
        narrow(layer, segment, unit, scratch);
    }
}

RowPanel Encoder::inner_of(const PanelMatrix& down, int inside, Scratch& scratch) const {
    const int scales = scales_of_row(down.number, down.segments) * kPanel;
    return {scratch.inner.tiles + inside * row_segment_bytes(down.number, down.segments),
            scratch.inner.scales + inside * scales, scratch.inner.zeros + inside * scales};
}

// Computes a segment of inner values. In int8 a row's segment is packed at once, because it shares a scale.
void Encoder::widen(const EncoderLayer& layer, int segment, const Unit& unit, Scratch& scratch) {
    const int width = inner_width(), panels = width / kPanel, from = segment * panels;
    const bool is_whole = layer.down.number != Number::kBf16;
    const int together = is_whole ? panels : std::min(panels, padded_to(chunk_panels(layer.up), 2));
    const Activation of_product = path_->activates ? shape_.activation : Activation::kNone;
    float* staging = scratch.staging;
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels), columns = (last - first) * kPanel;
        const NextPanels next = last < panels ? NextPanels{layer.up, from + last, unit.count}
                                              : NextPanels{layer.down, 0, unit.count, segment};
        const std::size_t part = layer.up.segments.count * ahead_of(layer.up, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.count; ++inside) {
            multiply(layer.up, unit, inside, from + first, from + last, staging, columns, false, scratch,
                     next.part(inside, part), of_product);
            RowPanel inner = inner_of(layer.down, inside, scratch);
            inner.tiles += static_cast<std::size_t>(first) * kPanel * kPanel * (is_whole ? 1 : 2);
            for (int row = 0; row < rows_of_panel(unit, unit.panel(inside)); ++row) {
                if (!path_->activates) path_->activate(shape_.activation, staging + row * columns, columns);
                path_->pack(staging + row * columns, columns, row, layer.down.number, inner);
            }
        }
    }
}

// Adds what a segment of inner values contributes.
void Encoder::narrow(const EncoderLayer& layer, int segment, const Unit& unit, Scratch& scratch) {
    const int panels = layer.down.panels();
    const int together = std::max(1, static_cast<int>(kChunkBytes / layer.down.panel_bytes()));
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels), up = (segment + 1) * inner_width() / kPanel;
        const NextPanels next = last < panels
                                    ? NextPanels{layer.down, last, unit.count, segment}
                                    : NextPanels{layer.up, std::min(up, layer.up.panels() - 1), unit.count};
        const std::size_t part = ahead_of(layer.down, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.count; ++inside) {
            const int panel = unit.panel(inside);
            path_->multiply({&layer.down, segment, first, last, inner_of(layer.down, inside, scratch),
                             hidden_row(panel) + first * kPanel, static_cast<std::size_t>(shape_.padded_hidden()), true,
                             next.part(inside, part), unit.ahead_bytes, rows_of_panel(unit, panel)});
        }
    }
}

void Encoder::finish(const Unit& unit, Scratch& scratch) {
    for (int inside = 0; inside < unit.count; ++inside) {
        const int panel = unit.panel(inside), rows = shape_.has_first_token ? 1 : tokens_of_panel(panel);
        for (int row = 0; row < rows; ++row) {
            path_->norm(hidden_row(panel, row), final_norm_.weight.data(), final_norm_.bias.data(), shape_.epsilon,
                        shape_.hidden, scratch.row);
            std::memcpy(output_of(panel, row), scratch.row, shape_.hidden * sizeof(float));
        }
    }
}

// Where a row's normalised hidden states go: to the output, or to their place in the connector's squares.
float* Encoder::output_of(int panel, int row) {
    const int factor = connector_.factor, image = panel / shape_.panels();
    const int token = panel % shape_.panels() * kPanel + row;
    if (factor == 0) {
        const std::size_t tokens = shape_.has_first_token ? 1 : shape_.patches;
        return out_ + (image * tokens + token) * shape_.hidden;
    }
    const int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(shape_.patches))));
    const int y = token / side, x = token % side;
    const int square = y / factor * (side / factor) + x / factor, inside = y % factor * factor + x % factor;
    return squares_ +
           static_cast<std::size_t>(image * output_rows() + square) * connector_.matrix.segments.values() +
           inside * shape_.hidden;
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
    const int count = std::min(kPanel, connector_.outputs - panel * kPanel), rows = images_.load() * output_rows();
    for (int first = 0; first < rows; first += kPanel) {
        const int last = std::min(first + kPanel, rows);
        for (int segment = 0; segment < matrix.segments.count; ++segment) {
            std::uint8_t* tiles = square_rows_ + (first / kPanel * matrix.segments.count + segment) * bytes;
            path_->multiply({&matrix, segment, panel, panel + 1, {tiles, nullptr, nullptr}, results[0], kPanel,
                             segment > 0, nullptr, kAheadBytes, padded_to(last - first, path_->row_block)});
        }
        for (int row = first; row < last; ++row)
            std::memcpy(out_ + static_cast<std::size_t>(row) * connector_.outputs + panel * kPanel,
                        results[row - first], count * sizeof(float));
    }
}

}  // namespace smallsight

#include "encoder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace smallsight {

namespace {

constexpr int kMostUnitPanels = 16;  // 512 rows; fewer read the weights more often, which costs more
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

Encoder::Division Encoder::division_of(int images) const {
    const int panels = shape_.panels(), threads = team_.size();
    if (images >= threads && panels <= kMostUnitPanels) {
        const int most = std::max(1, kMostUnitPanels / panels);
        const int of_unit = std::min((images + threads - 1) / threads, most);
        return {of_unit, panels, (images + of_unit - 1) / of_unit};
    }
    const int parts = (threads + images - 1) / images;
    const int of_unit = std::clamp((panels + parts - 1) / parts, 1, kMostUnitPanels);
    return {1, of_unit, images * ((panels + of_unit - 1) / of_unit)};
}

Encoder::Unit Encoder::unit_of(const Division& division, int images, int number) const {
    const int parts = (shape_.panels() + division.panels_of_unit - 1) / division.panels_of_unit;
    const int image = number / parts * division.images_of_unit, token = number % parts * division.panels_of_unit * kPanel;
    const int of_unit = std::min(division.images_of_unit, images - image);
    const int rows = parts == 1 ? of_unit * shape_.tokens()
                                : std::min(shape_.tokens() - token, division.panels_of_unit * kPanel);
    const std::size_t row = static_cast<std::size_t>(image) * shape_.panels() * kPanel + token;
    Unit unit = {image, of_unit, token, rows, false, hidden_ + row * shape_.padded_hidden(), 0};
    unit.ahead_bytes = ahead_of_unit(unit.panels());
    return unit;
}

Encoder::Unit Encoder::first_tokens_of(const Unit& unit, Scratch& scratch) const {
    Unit first = {unit.first_image, unit.images, 0, unit.first_token == 0 ? unit.images : 0, true, scratch.first, 0};
    first.ahead_bytes = ahead_of_unit(1);
    for (int row = 0; row < first.rows; ++row)
        std::memcpy(hidden_row(first, row), hidden_row(unit, row * shape_.tokens()), shape_.hidden * sizeof(float));
    return first;
}

// A chunk of weights is fetched while the panels of a unit are multiplied, so that few of them fetch more each.
int Encoder::ahead_of_unit(int panels) const {
    if (path_->fetches_any) return std::min(padded_to(2 * kTileBytes / panels, kLanes * 4), kMostAheadBytes);
    return path_->fetches_more && panels < kMostUnitPanels / 2 ? kMoreAheadBytes : kAheadBytes;
}

void Encoder::run(std::vector<const float*> patches, float* out) {
    patches_ = std::move(patches);
    images_.store(static_cast<int>(patches_.size()));
    out_ = out;
    team_.run();
}

void Encoder::work(Turn& turn) {
    const int images = images_.load();
    const Division division = division_of(images);
    Scratch& scratch = scratch_[turn.thread];
    const auto share = [&](auto&& compute) {
        team_.share(turn, [&] { return division.units; },
                    [&](int number) { compute(unit_of(division, images, number)); });
    };
    path_->begin();
    share([&](const Unit& unit) { embed(unit, scratch); });
    for (int layer = 0; layer < shape_.layers; ++layer)
        share([&](const Unit& unit) {
            const bool is_last = shape_.has_first_token && layer + 1 == shape_.layers;
            run_layer(layer, is_last ? first_tokens_of(unit, scratch) : unit, scratch);
        });
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
    for (int row = 0; row < unit.rows; ++row) {
        const int token = unit.first_token + row, patch = token % shape_.tokens() - before;
        if (patch < 0) {
            std::fill_n(scratch.row, shape_.patch_width, 0.0f);
        } else {
            const float* patches = patches_[unit.first_image + token / shape_.tokens()];
            std::memcpy(scratch.row, patches + static_cast<std::size_t>(patch) * shape_.patch_width,
                        shape_.patch_width * sizeof(float));
        }
        pack_row(scratch.row, row, embedding_, scratch);
    }
    for (int inside = 0; inside < unit.panels(); ++inside)
        multiply(embedding_, unit, inside, 0, embedding_.panels(), hidden_row(unit, inside * kPanel),
                 shape_.padded_hidden(), false, scratch);
    place_rows(unit);
    split_heads(layers_[0], heads_[0], unit, scratch);
}

// Adds positions to embedded patches, and zeros after the last.
void Encoder::place_rows(const Unit& unit) {
    for (int row = 0; row < unit.rows; ++row) {
        float* hidden = hidden_row(unit, row);
        const std::size_t token = (unit.first_token + row) % shape_.tokens();
        const float* positions = positions_.data() + token * shape_.hidden;
        for (int at = 0; at < shape_.hidden; ++at) hidden[at] += positions[at];
        if (shape_.has_first_token)
            path_->norm(hidden, first_norm_.weight.data(), first_norm_.bias.data(), shape_.epsilon, shape_.hidden,
                        hidden);
    }
    std::fill(hidden_row(unit, unit.rows), hidden_row(unit, unit.panels() * kPanel), 0.0f);
}

void Encoder::run_layer(int index, const Unit& unit, Scratch& scratch) {
    if (unit.rows == 0) return;
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

void Encoder::pack_row(const float* values, int row, const PanelMatrix& next, Scratch& scratch) {
    const int width = next.segments.segment_values();
    for (int segment = 0; segment < next.segments.count; ++segment)
        path_->pack(values + segment * width, width, row % kPanel, next.number,
                    rows_of(next, row / kPanel, segment, scratch));
}

void Encoder::multiply(const PanelMatrix& matrix, const Unit& unit, int inside, int begin, int end, float* out,
                       std::size_t stride, bool adds, Scratch& scratch, const std::uint8_t* ahead,
                       Activation activation) {
    const int rows = rows_of_panel(unit, inside);
    for (int segment = 0; segment < matrix.segments.count; ++segment) {
        path_->multiply({&matrix, segment, begin, end, rows_of(matrix, inside, segment, scratch), out, stride,
                         adds || segment > 0, ahead, unit.ahead_bytes, rows,
                         segment + 1 == matrix.segments.count ? activation : Activation::kNone});
        if (ahead != nullptr) ahead += ahead_of(matrix, end - begin, unit.ahead_bytes);
    }
}

void Encoder::norm_rows(const LayerNorm& norm, const PanelMatrix& next, const Unit& unit, Scratch& scratch) {
    std::fill_n(scratch.row, next.segments.values(), 0.0f);
    for (int row = 0; row < padded_to(unit.rows, path_->row_block); ++row) {
        path_->norm(hidden_row(unit, row), norm.weight.data(), norm.bias.data(), shape_.epsilon, shape_.hidden,
                    scratch.row);
        pack_row(scratch.row, row, next, scratch);
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
    const std::size_t stride = static_cast<std::size_t>(last - first) * dims;
    const NextPanels next = {layer.attention, next_head * dim_panels, unit.panels()};
    const std::size_t part =
        layer.attention.segments.count * ahead_of(layer.attention, (last - first) * dim_panels, unit.ahead_bytes);
    const bool is_joint = unit.images > 1;  // images share panels: all are computed before any is stored
    for (int inside = 0; inside < unit.panels(); ++inside) {
        float* staging = scratch.staging + (is_joint ? inside * kPanel * stride : 0);
        multiply(layer.attention, unit, inside, first * dim_panels, last * dim_panels, staging, stride, false, scratch,
                 next.part(inside, part));
        if (!is_joint) store_heads(heads, range, {unit.first_image, unit.first_token / kPanel + inside}, staging);
    }
    // The last image first: those behind it are stored, and their rows may become zeros.
    for (int image = unit.images - 1; is_joint && image >= 0; --image)
        for (int panel = shape_.panels() - 1; panel >= 0; --panel)
            store_heads(heads, range, {unit.first_image + image, panel},
                        scratch.staging + (static_cast<std::size_t>(image) * shape_.tokens() + panel * kPanel) * stride);
}

// Stores heads of a panel of an image; rows after the last token become zeros: what is there could be infinite.
void Encoder::store_heads(Heads& heads, HeadRange range, ImagePanel of, float* rows) {
    const int dims = shape_.padded_dim(), count = shape_.tokens() - of.panel * kPanel;
    const std::size_t key_panel = static_cast<std::size_t>(dims) * kPanel * 2;
    const std::size_t stride = static_cast<std::size_t>(range.last - range.first) * dims;
    const float scale = kLog2E / std::sqrt(static_cast<float>(shape_.head_dim()));
    if (count < kPanel) std::fill(rows + count * stride, rows + kPanel * stride, 0.0f);
    for (int number = range.first; number < range.last; ++number) {
        const float* values = rows + (number - range.first) * dims;
        const std::size_t of_head = head_place(of.image, number % shape_.heads), at = of_head + of.panel * key_panel;
        if (number < shape_.heads) {
            path_->store_queries({values, stride, dims, heads.queries + at, 0}, scale);
        } else if (number < 2 * shape_.heads) {
            path_->store_keys({values, stride, dims, heads.keys + at, 0});
        } else {
            path_->store_values({values, stride, dims, heads.values + of_head + of.panel * 2 * kTileBytes,
                                 static_cast<std::size_t>(shape_.panels()) * 2 * kTileBytes});
        }
    }
}

// Rows that are computed past an image's last belong to the next one, which is computed after it.
void Encoder::join_heads(const Heads& heads, const Unit& unit, Scratch& scratch) {
    const int tokens = unit.has_first_tokens_only ? 1 : std::min(unit.rows, shape_.tokens());  // of an image
    for (int head = 0; head < shape_.heads; ++head) {
        for (int image = 0; image < unit.images; ++image) {
            for (int token = 0; token < tokens; token += kPanel) {
                const int row = image * tokens + token, panel = (unit.first_token + token) / kPanel;
                float* out = scratch.mixed + row * mixed_stride() + head * shape_.head_dim();
                const std::size_t at = head_place(unit.first_image + image, head);
                path_->attend({heads.queries + at + panel * static_cast<std::size_t>(shape_.padded_dim()) * kPanel * 2,
                               heads.keys + at, heads.values + at, shape_.tokens(), shape_.padded_dim(), scratch.shares,
                               out, mixed_stride(), std::min(kPanel, padded_to(tokens - token, path_->row_block))});
            }
        }
    }
}

void Encoder::project(const EncoderLayer& layer, const Unit& unit, Scratch& scratch) {
    for (int row = 0; row < padded_to(unit.rows, path_->row_block); ++row)
        pack_row(scratch.mixed + row * mixed_stride(), row, layer.output, scratch);
    const int together = chunk_panels(layer.output), panels = layer.output.panels();
    for (int first = 0; first < panels; first += together) {
        const int last = std::min(first + together, panels);
        const NextPanels next = {last < panels ? layer.output : layer.up, last < panels ? last : 0, unit.panels()};
        const std::size_t part = layer.output.segments.count * ahead_of(layer.output, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.panels(); ++inside)
            multiply(layer.output, unit, inside, first, last, hidden_row(unit, inside * kPanel) + first * kPanel,
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
        const NextPanels next = last < panels ? NextPanels{layer.up, from + last, unit.panels()}
                                              : NextPanels{layer.down, 0, unit.panels(), segment};
        const std::size_t part = layer.up.segments.count * ahead_of(layer.up, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.panels(); ++inside) {
            multiply(layer.up, unit, inside, from + first, from + last, staging, columns, false, scratch,
                     next.part(inside, part), of_product);
            RowPanel inner = inner_of(layer.down, inside, scratch);
            inner.tiles += static_cast<std::size_t>(first) * kPanel * kPanel * (is_whole ? 1 : 2);
            for (int row = 0; row < rows_of_panel(unit, inside); ++row) {
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
                                    ? NextPanels{layer.down, last, unit.panels(), segment}
                                    : NextPanels{layer.up, std::min(up, layer.up.panels() - 1), unit.panels()};
        const std::size_t part = ahead_of(layer.down, last - first, unit.ahead_bytes);
        for (int inside = 0; inside < unit.panels(); ++inside) {
            path_->multiply({&layer.down, segment, first, last, inner_of(layer.down, inside, scratch),
                             hidden_row(unit, inside * kPanel) + first * kPanel, static_cast<std::size_t>(shape_.padded_hidden()), true,
                             next.part(inside, part), unit.ahead_bytes, rows_of_panel(unit, inside)});
        }
    }
}

void Encoder::finish(const Unit& unit, Scratch& scratch) {
    const int tokens = unit.has_first_tokens_only ? 1 : shape_.tokens();
    for (int row = 0; row < unit.rows; ++row) {
        path_->norm(hidden_row(unit, row), final_norm_.weight.data(), final_norm_.bias.data(), shape_.epsilon,
                    shape_.hidden, scratch.row);
        const int token = unit.first_token + row;
        std::memcpy(output_of(unit.first_image + token / tokens, token % tokens), scratch.row,
                    shape_.hidden * sizeof(float));
    }
}

// Where a token's normalised hidden states go: to the output, or to their place in the connector's squares.
float* Encoder::output_of(int image, int token) {
    const int factor = connector_.factor;
    if (factor == 0) return out_ + (static_cast<std::size_t>(image) * output_rows() + token) * shape_.hidden;
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

// An encoder of SigLIP's or CLIP's kind: from the patches of images to normalised hidden states, or through a connector
// to tokens.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "encoder_path.hpp"
#include "packed_matrix.hpp"
#include "panel_matrix.hpp"
#include "thread_team.hpp"

namespace smallsight {

struct EncoderShape {
    int layers;
    int hidden;
    int heads;
    int ffn;
    int patches;
    int patch_width;
    float epsilon;
    Activation activation = Activation::kTanhGelu;
    // As CLIP has it: a token before the patches, whose input is its position alone. A norm comes before the first
    // layer, and of the last layer's hidden states the first is the output.
    bool has_first_token = false;
    int most_images = 1;  // of a run

    int head_dim() const { return hidden / heads; }
    int padded_dim() const { return padded_to(head_dim(), kPanel); }
    int padded_hidden() const { return padded_to(hidden, kPanel); }
    int tokens() const { return patches + (has_first_token ? 1 : 0); }
    int panels() const { return padded_to(tokens(), kPanel) / kPanel; }
};

struct LayerNorm {
    std::vector<float> weight;
    std::vector<float> bias;
};

struct EncoderLayer {
    LayerNorm attention_norm;
    LayerNorm ffn_norm;
    PanelMatrix attention;  // queries, keys and values, head by head, each padded to 32
    PanelMatrix output;
    PanelMatrix up;  // outputs padded to the inputs of `down`
    PanelMatrix down;
};

// Concatenates squares of `factor` x `factor` patches, or takes the first token alone, and projects them.
struct Connector {
    int factor = 0;  // 0: there is none
    int outputs = 0;
    PanelMatrix matrix;
};

class Encoder {
   public:
    Encoder(const EncoderShape& shape, int threads, const EncoderPath* path);
    // Has the weights of another, which must outlive it: both may run at once.
    Encoder(const Encoder& other, int threads);

    const EncoderShape& shape() const { return shape_; }
    const char* path_name() const { return path_->name; }
    std::size_t weight_bytes() const;

    // `weight` is [hidden][patch width], `positions` [tokens][hidden].
    void set_embedding(const float* weight, const float* positions);
    void set_norms(int layer, LayerNorm attention_norm, LayerNorm ffn_norm);
    // The matrices are [outputs][inputs]: attention, output, up and down, in this order.
    void set_matrix(int layer, int index, const float* weight, const float* bias, Number number,
                    bool in_groups = false);
    void set_first_norm(LayerNorm norm) { first_norm_ = std::move(norm); }
    void set_final_norm(LayerNorm norm) { final_norm_ = std::move(norm); }
    void set_connector(const float* weight, int outputs, int factor);

    int output_rows() const;  // of an image
    int output_width() const { return connector_.factor == 0 ? shape_.hidden : connector_.outputs; }
    int inputs_of(int index) const { return index == 3 ? shape_.ffn : shape_.hidden; }
    int outputs_of(int index) const;

    // Encodes images, whose `patches` are [patches][patch width] each, to `out` [images][output rows][output width]. One
    // caller at a time. What comes of an image does not depend on the others.
    void run(std::vector<const float*> patches, float* out);

   private:
    // Memory of one thread, in the arena.
    struct Scratch {
        float* row;      // one, zeros past its end
        float* mixed;    // a unit's rows, joined heads
        float* staging;  // outputs of 32 rows, or of a unit's where its images share panels
        float* first;    // the residual stream of first tokens
        RowPanel rows;   // a unit's panels, packed
        RowPanel inner;  // a unit's panels of one segment of inner values
        std::uint8_t* shares;
    };
    // How images are shared by threads: some whole ones are a unit, or some panels of one.
    struct Division {
        int images_of_unit;
        int panels_of_unit;  // of an image, or all of them
        int units;
    };
    // What a thread takes. The tokens of its images are rows without gaps between them, so that few rows are padding.
    struct Unit {
        int first_image;
        int images;
        int first_token;  // of the first image
        int rows;
        bool has_first_tokens_only;  // a row for each image
        float* hidden;               // of the residual stream, from the first row on
        int ahead_bytes;             // fetched for each tile of a panel

        int panels() const { return padded_to(rows, kPanel) / kPanel; }
    };
    struct ImagePanel {
        int image, panel;
    };
    struct HeadRange {
        int first, last;
    };
    // Queries, keys and values of all heads and patches; two of them, because a fast unit is a layer ahead.
    struct Heads {
        std::uint8_t *queries, *keys, *values;
    };

    void work(Turn& turn);
    void embed(const Unit& unit, Scratch& scratch);
    void place_rows(const Unit& unit);
    void run_layer(int index, const Unit& unit, Scratch& scratch);
    void split_some(const EncoderLayer& layer, Heads& heads, HeadRange range, const Unit& unit, Scratch& scratch);
    void widen(const EncoderLayer& layer, int segment, const Unit& unit, Scratch& scratch);
    void narrow(const EncoderLayer& layer, int segment, const Unit& unit, Scratch& scratch);
    void join_heads(const Heads& heads, const Unit& unit, Scratch& scratch);
    void project(const EncoderLayer& layer, const Unit& unit, Scratch& scratch);
    void feed_forward(const EncoderLayer& layer, const Unit& unit, Scratch& scratch);
    void split_heads(const EncoderLayer& layer, Heads& heads, const Unit& unit, Scratch& scratch);
    void norm_rows(const LayerNorm& norm, const PanelMatrix& next, const Unit& unit, Scratch& scratch);
    void store_heads(Heads& heads, HeadRange range, ImagePanel of, float* rows);
    void finish(const Unit& unit, Scratch& scratch);
    float* output_of(int image, int token);
    void pack_squares(int panel, Scratch& scratch);
    void connect(int panel);
    void pack_row(const float* values, int row, const PanelMatrix& next, Scratch& scratch);
    void multiply(const PanelMatrix& matrix, const Unit& unit, int inside, int begin, int end, float* out,
                  std::size_t stride, bool adds, Scratch& scratch, const std::uint8_t* ahead = nullptr,
                  Activation activation = Activation::kNone);
    RowPanel inner_of(const PanelMatrix& down, int inside, Scratch& scratch) const;
    RowPanel rows_of(const PanelMatrix& matrix, int inside, int segment, Scratch& scratch) const;
    void allocate();
    void allocate_squares();
    Scratch new_scratch();
    Division division_of(int images) const;
    Unit unit_of(const Division& division, int images, int number) const;
    // The same images' first tokens, whose hidden states are copied; without rows if they are another unit's.
    Unit first_tokens_of(const Unit& unit, Scratch& scratch) const;
    int ahead_of_unit(int panels) const;
    // Rows of a panel that are computed: of the unit, rounded up to what the path computes together.
    int rows_of_panel(const Unit& unit, int inside) const {
        return std::min(kPanel, padded_to(unit.rows - inside * kPanel, path_->row_block));
    }
    std::size_t most_rows() const;  // of a unit, with those that are computed past its end
    float* floats(std::size_t count) { return reinterpret_cast<float*>(arena_.take(count * sizeof(float))); }
    float* hidden_row(const Unit& unit, int row) const {
        return unit.hidden + static_cast<std::size_t>(row) * shape_.padded_hidden();
    }
    // Of one image's head.
    std::size_t head_bytes() const { return static_cast<std::size_t>(shape_.panels()) * kPanel * shape_.padded_dim() * 2; }
    std::size_t head_place(int image, int head) const {
        return (static_cast<std::size_t>(image) * shape_.heads + head) * head_bytes();
    }
    std::size_t mixed_stride() const;
    int inner_width() const { return inner_segments_.segment_values(); }

    const EncoderShape shape_;
    const EncoderPath* const path_;
    const Segments inner_segments_;
    Arena arena_;
    PanelMatrix embedding_;
    std::vector<float> positions_;
    std::vector<EncoderLayer> layers_;
    LayerNorm first_norm_;
    LayerNorm final_norm_;
    Connector connector_;
    std::atomic<int> images_{1};  // of the current run; a late thread may read it
    std::vector<const float*> patches_;
    float* out_ = nullptr;
    float* hidden_;               // the residual stream, [unit][rows padded to 32][hidden padded to 32]
    float* squares_ = nullptr;    // normalised hidden states, in the connector's order
    std::uint8_t* square_rows_ = nullptr;
    Heads heads_[2];
    std::vector<Scratch> scratch_;
    ThreadTeam team_;  // last, so that its threads end first
};

}  // namespace smallsight

// A SigLIP encoder: from the patches of one image to normalised hidden states, or through a connector to tokens.
#pragma once

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

    int head_dim() const { return hidden / heads; }
    int padded_dim() const { return padded_to(head_dim(), kPanel); }
    int padded_hidden() const { return padded_to(hidden, kPanel); }
    int panels() const { return padded_to(patches, kPanel) / kPanel; }
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

// Concatenates squares of `factor` x `factor` patches and projects them.
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

    // `weight` is [hidden][patch width], `positions` [patches][hidden].
    void set_embedding(const float* weight, const float* positions);
    void set_norms(int layer, LayerNorm attention_norm, LayerNorm ffn_norm);
    // The matrices are [outputs][inputs]: attention, output, up and down, in this order.
    void set_matrix(int layer, int index, const float* weight, const float* bias, Number number,
                    bool in_groups = false);
    void set_final_norm(LayerNorm norm) { final_norm_ = std::move(norm); }
    void set_connector(const float* weight, int outputs, int factor);

    int output_rows() const;
    int output_width() const { return connector_.factor == 0 ? shape_.hidden : connector_.outputs; }
    int inputs_of(int index) const { return index == 3 ? shape_.ffn : shape_.hidden; }
    int outputs_of(int index) const;

    // Encodes one image: `patches` [patches][patch width] to `out` [output rows][output width]. One caller at a time.
    void run(const float* patches, float* out);

   private:
    // Memory of one thread, in the arena.
    struct Scratch {
        float* row;      // one, zeros past its end
        float* mixed;    // a unit's rows, joined heads
        float* staging;  // 32 rows of outputs
        RowPanel rows;   // a unit's panels, packed
        RowPanel inner;  // a unit's panels of one segment of inner values
        std::uint8_t* shares;
    };
    // One of a unit's panels: its number among them, and how many rows are computed.
    struct UnitPanel {
        int inside;
        int rows;
    };
    struct HeadRange {
        int first, last;
    };
    // Queries, keys and values of all heads and patches; two of them, because a fast unit is a layer ahead.
    struct Heads {
        std::uint8_t *queries, *keys, *values;
    };

    void work(Turn& turn);
    void embed(int begin, int end, Scratch& scratch);
    void run_layer(int index, int begin, int end, Scratch& scratch);
    void split_some(const EncoderLayer& layer, Heads& heads, HeadRange range, int begin, int end, Scratch& scratch);
    void widen(const EncoderLayer& layer, int segment, int begin, int end, Scratch& scratch);
    void narrow(const EncoderLayer& layer, int segment, int begin, int end, Scratch& scratch);
    void join_heads(const Heads& heads, int begin, int end, Scratch& scratch);
    void project(const EncoderLayer& layer, int begin, int end, Scratch& scratch);
    void feed_forward(const EncoderLayer& layer, int begin, int end, Scratch& scratch);
    void split_heads(const EncoderLayer& layer, Heads& heads, int begin, int end, Scratch& scratch);
    void norm_rows(const LayerNorm& norm, const PanelMatrix& next, int begin, int end, Scratch& scratch);
    void finish(int begin, int end, Scratch& scratch);
    void pack_squares(int panel, Scratch& scratch);
    void connect(int panel);
    void pack_row(const float* values, int row, const PanelMatrix& next, int panel, Scratch& scratch);
    void multiply(const PanelMatrix& matrix, UnitPanel panel, int begin, int end, float* out, std::size_t stride,
                  bool adds, Scratch& scratch, const std::uint8_t* ahead = nullptr, bool activates = false);
    RowPanel inner_of(const PanelMatrix& down, int panel, Scratch& scratch) const;
    RowPanel rows_of(const PanelMatrix& matrix, int panel, int segment, Scratch& scratch) const;
    void allocate();
    void allocate_squares();
    Scratch new_scratch();
    // The bytes that a product of this many panels fetches ahead.
    std::size_t ahead_bytes(const PanelMatrix& matrix, int panels) const;
    // Rows of a panel that are computed; the patches, rounded up to what the path computes together.
    int rows_of_panel(int panel) const;
    int end_row(int end) const { return (end - 1) * kPanel + rows_of_panel(end - 1); }
    UnitPanel unit_panel(int panel, int begin) const { return {panel - begin, rows_of_panel(panel)}; }
    float* floats(std::size_t count) { return reinterpret_cast<float*>(arena_.take(count * sizeof(float))); }
    float* hidden_row(int row) { return hidden_ + static_cast<std::size_t>(row) * shape_.padded_hidden(); }
    std::size_t head_bytes() const { return static_cast<std::size_t>(shape_.panels()) * kPanel * shape_.padded_dim() * 2; }
    std::size_t mixed_stride() const;
    int inner_width() const { return inner_segments_.segment_values(); }

    const EncoderShape shape_;
    const EncoderPath* const path_;
    const Segments inner_segments_;
    Arena arena_;
    PanelMatrix embedding_;
    std::vector<float> positions_;
    std::vector<EncoderLayer> layers_;
    LayerNorm final_norm_;
    Connector connector_;
    int unit_panels_ = 1;
    int tile_ahead_bytes_ = kAheadBytes;
    const float* patches_ = nullptr;
    float* out_ = nullptr;
    float* hidden_;               // the residual stream, [patches padded to 32][hidden padded to 32]
    float* squares_ = nullptr;    // normalised hidden states, in the connector's order
    std::uint8_t* square_rows_ = nullptr;
    Heads heads_[2];
    std::vector<Scratch> scratch_;
    ThreadTeam team_;  // last, so that its threads end first
};

}  // namespace smallsight

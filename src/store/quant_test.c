// SPDX-License-Identifier: Apache-2.0
// Quantizations as they stand in real repositories' file names.
#include "store/quant.h"
#include "unit.h"

TEST(quant_of_real_names) {
    static const struct {
        const char *stem, *quant;
    } rows[] = {
        {"Qwen3-8B-Q4_K_M", "Q4_K_M"},
        {"qwen3-8b.q5_k_s", "q5_k_s"},
        {"UD/model-UD-IQ2_XXS", "IQ2_XXS"},
        {"gpt-oss-20b-mxfp4", "mxfp4"},
        {"SmolLM2-135M-Instruct.Q4_1", "Q4_1"},
        {"model-f16", "f16"},
        {"Q8_0/model-Q8_0", "Q8_0"},
        {"model", ""},
        {"Qwen3-8B", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(slice_is(quant_of_file(slice_str(rows[i].stem)), rows[i].quant));
}

TEST(quant_ranks_and_sameness) {
    CHECK(quant_same(SLICE("q4_k_m"), SLICE("Q4_K_M")) && !quant_same(SLICE("Q4"), SLICE("Q4_0")));
    CHECK(!quant_same(SLICE_NONE, SLICE_NONE));
    CHECK(quant_rank(SLICE("Q4_K_M")) < quant_rank(SLICE("Q8_0")));
    CHECK(quant_rank(SLICE("Q8_0")) < quant_rank(SLICE("F16")) && quant_rank(SLICE("F16")) < quant_rank(SLICE("odd")));
}

TEST(quant_projectors_are_no_models) {
    CHECK(quant_is_projector(SLICE("a/mmproj-model-f16.gguf")) && quant_is_projector(SLICE("x.MMPROJ-q8.gguf")));
    CHECK(!quant_is_projector(SLICE("mmproj/model.gguf")) && !quant_is_projector(SLICE("mmproj.txt")));
}

// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_OLLAMA_SAMPLES_H
#define DIALECT_OLLAMA_SAMPLES_H
// Tests only: Ollama chats for codec_suite_test.c, included by samples.h.

static const char *const ollama_sample_requests[] = {
    "{\"model\":\"m\",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"what?\","
    "\"images\":[\"AAAA\"]}],\"options\":{\"temperature\":0.5,\"top_p\":0.9,\"top_k\":5,\"min_p\":0.25,\"seed\":7,"
    "\"num_predict\":64,\"num_ctx\":2048,\"stop\":[\"a\",\"b\"],\"repeat_penalty\":1.25},\"think\":false,"
    "\"format\":{\"type\":\"object\"},\"keep_alive\":\"5m\"}",
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"weather?\"},{\"role\":\"assistant\",\"content\":\"\","
    "\"tool_calls\":[{\"function\":{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}}]},{\"role\":\"tool\","
    "\"tool_name\":\"weather\",\"content\":\"rain\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\","
    "\"description\":\"now\",\"parameters\":{\"type\":\"object\"}}}]}",
    NULL,
};

#define OLLAMA_LINE(rest) "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\"," rest "}\n"
#define OLLAMA_SAYS(message) OLLAMA_LINE("\"message\":{\"role\":\"assistant\"," message "},\"done\":false")
#define OLLAMA_DONE(reason)                                                                                        \
    OLLAMA_LINE(                                                                                                   \
        "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"" reason            \
        "\",\"total_duration\":9000,\"load_duration\":1000,\"prompt_eval_count\":9,\"prompt_eval_duration\":4000," \
        "\"eval_count\":12,\"eval_duration\":4000")

static const char *const ollama_sample_streams[] = {
    OLLAMA_SAYS("\"content\":\"Hel\"") OLLAMA_SAYS("\"content\":\"lo\"") OLLAMA_DONE("stop"),
    OLLAMA_SAYS("\"content\":\"\",\"thinking\":\"hmm\"") OLLAMA_SAYS("\"content\":\"It is\"") OLLAMA_DONE("length"),
    OLLAMA_SAYS("\"content\":\"I look.\"") OLLAMA_SAYS(
        "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}},"
        "{\"function\":{\"name\":\"clock\",\"arguments\":{}}}]") OLLAMA_DONE("stop"),
    NULL,
};

static const char *const ollama_sample_answers[] = {
    "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{\"role\":\"assistant\",\"content\":\"Hello\","
    "\"thinking\":\"hm\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":12}",
    NULL,
};

static const char *const ollama_sample_errors[] = {
    "{\"error\":\"bad\"}",
    NULL,
};

#define OLLAMA_SAMPLES \
    { ollama_sample_requests, ollama_sample_streams, ollama_sample_answers, ollama_sample_errors }

#endif

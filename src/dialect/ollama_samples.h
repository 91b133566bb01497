// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_OLLAMA_SAMPLES_H
#define DIALECT_OLLAMA_SAMPLES_H
// Tests only: Ollama's row of samples.h.

static const char *const ollama_sample_requests[] = {
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    "{ \"model\": \"qwen3:8b\", \"stream\": false, \"think\": \"low\", \"keep_alive\": \"5m\", \"logprobs\": true,\n"
    "  \"top_logprobs\": 2, \"format\": {\"type\": \"object\"},\n"
    "  \"options\": {\"temperature\": 0.5, \"top_p\": 0.9, \"top_k\": 40, \"min_p\": 0.25, \"seed\": -7, \"num_predict\": 100,\n"
    "    \"num_ctx\": 8192, \"stop\": [\"a\", \"b\"], \"repeat_penalty\": 1.25, \"presence_penalty\": -0.5,\n"
    "    \"frequency_penalty\": 1.5},\n"
    "  \"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, {\"role\": \"user\", \"content\": \"what? \\u00e9\\n\",\n"
    "    \"images\": [\"iVBORw0KGgo=\", \"/9j/AAAA\"]}]}",
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"weather in Bern and Rome?\"},"
    "{\"role\":\"assistant\",\"content\":\"I look.\",\"thinking\":\"two calls\",\"tool_calls\":["
    "{\"function\":{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}},"
    "{\"function\":{\"name\":\"clock\",\"arguments\":{}}}]},"
    "{\"role\":\"tool\",\"tool_name\":\"clock\",\"content\":\"noon\"},"
    "{\"role\":\"tool\",\"tool_name\":\"weather\",\"content\":\"rain\"},{\"role\":\"user\",\"content\":\"so?\"}],"
    "\"think\":true,\"format\":\"json\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\","
    "\"description\":\"now\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"clock\",\"parameters\":{\"type\":\"object\"}}}]}",
    NULL,
};

#define OLLAMA_LINE(message) \
    "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20Z\",\"message\":{\"role\":\"assistant\"," message "}"
#define OLLAMA_MORE(message) OLLAMA_LINE(message) ",\"done\":false}\n"
#define OLLAMA_DONE(message, reason, in, out)                                                       \
    OLLAMA_LINE(message)                                                                            \
    ",\"done\":true,\"done_reason\":\"" reason "\",\"total_duration\":9000,\"load_duration\":1000," \
    "\"prompt_eval_count\":" #in ",\"prompt_eval_duration\":2000,\"eval_count\":" #out ",\"eval_duration\":5000}\n"

static const char *const ollama_sample_streams[] = {
    OLLAMA_MORE("\"content\":\"Hel\"") OLLAMA_MORE("\"content\":\"lo \\u00e9\\n\"")
        OLLAMA_DONE("\"content\":\"\"", "stop", 7, 3),
    OLLAMA_MORE("\"content\":\"\",\"thinking\":\"hm\"") OLLAMA_MORE("\"content\":\"\",\"thinking\":\"m.\"")
        OLLAMA_MORE("\"content\":\"It is 4.\"") OLLAMA_DONE("\"content\":\"\"", "length", 9, 5),
    OLLAMA_MORE("\"content\":\"I look.\"")
        OLLAMA_MORE("\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":0,\"name\":\"weather\","
                    "\"arguments\":{\"city\":\"Bern\"}}},{\"id\":\"c2\",\"function\":{\"name\":\"clock\","
                    "\"arguments\":{}}}]") OLLAMA_DONE("\"content\":\"\"", "stop", 20, 11),
    NULL,
};

static const char *const ollama_sample_answers[] = {
    OLLAMA_DONE("\"content\":\"Hello\",\"thinking\":\"hm\"", "stop", 7, 3),
    OLLAMA_DONE(
        "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}},"
        "{\"function\":{\"name\":\"clock\",\"arguments\":{}}}]",
        "stop", 20, 11),
    NULL,
};

static const char *const ollama_sample_errors[] = {
    "{\"error\":\"input length exceeds the context length\"}",
    "{\"error\":\"\\\"m\\\" does not support tools\"}",
    NULL,
};

#define OLLAMA_SAMPLES \
    { ollama_sample_requests, ollama_sample_streams, ollama_sample_answers, ollama_sample_errors }

#endif

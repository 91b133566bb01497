// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_ANTHROPIC_SAMPLES_H
#define DIALECT_ANTHROPIC_SAMPLES_H
// Tests only: Anthropic's row of samples.h.

static const char *const anthropic_sample_requests[] = {
    "{\"model\":\"m\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    "{ \"model\": \"claude-x\", \"max_tokens\": 3000, \"stream\": true, \"temperature\": 0.5, \"top_p\": 0.9,\n"
    "  \"top_k\": 40, \"stop_sequences\": [\"a\", \"b\"], \"metadata\": {\"user_id\": \"u1\"},\n"
    "  \"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 2000},\n"
    "  \"system\": [{\"type\": \"text\", \"text\": \"be brief\", \"cache_control\": {\"type\": \"ephemeral\"}},\n"
    "    {\"type\": \"text\", \"text\": \"and kind\"}],\n"
    "  \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"what? \\u00e9\\n\"},\n"
    "      {\"type\": \"image\", \"source\": {\"type\": \"base64\", \"media_type\": \"image/png\", \"data\": \"AAAA\"},\n"
    "        \"cache_control\": {\"type\": \"ephemeral\"}},\n"
    "      {\"type\": \"image\", \"source\": {\"type\": \"url\", \"url\": \"https://x.example/a.png\"}},\n"
    "      {\"type\": \"document\", \"title\": \"T\", \"source\": {\"type\": \"base64\", \"media_type\": \"application/pdf\",\n"
    "        \"data\": \"JVBE\"}},\n"
    "      {\"type\": \"document\", \"source\": {\"type\": \"text\", \"media_type\": \"text/plain\", \"data\": \"words\"}}]}]}",
    "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"weather in Bern and Rome?\"},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"two calls\",\"signature\":\"c2ln\"},"
    "{\"type\":\"redacted_thinking\",\"data\":\"ZGF0YQ==\"},{\"type\":\"text\",\"text\":\"I look.\"},"
    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"weather\",\"input\":{\"city\":\"Bern\"}},"
    "{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"clock\",\"input\":{}}]},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\",\"content\":"
    "[{\"type\":\"text\",\"text\":\"rain\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
    "\"image/jpeg\",\"data\":\"AAAA\"}}]},{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_2\",\"is_error\":true,"
    "\"content\":\"no clock\"},{\"type\":\"text\",\"text\":\"so?\"}]}],"
    "\"tools\":[{\"name\":\"weather\",\"description\":\"now\",\"strict\":true,\"cache_control\":{\"type\":\"ephemeral\"},"
    "\"input_schema\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}},"
    "{\"name\":\"clock\",\"input_schema\":{\"type\":\"object\"}}],"
    "\"tool_choice\":{\"type\":\"tool\",\"name\":\"weather\",\"disable_parallel_tool_use\":true},"
    "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}",
    "{\"model\":\"m\",\"max_tokens\":9,\"system\":\"S\",\"thinking\":{\"type\":\"adaptive\"},"
    "\"output_config\":{\"effort\":\"low\"},\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
    "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"}],\"tool_choice\":{\"type\":\"none\"}}",
    "{\"model\":\"m\",\"max_tokens\":9,\"thinking\":{\"type\":\"disabled\"},\"messages\":[{\"role\":\"user\","
    "\"content\":\"a\"}]}",
    NULL,
};

#define ANTHROPIC_EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define ANTHROPIC_START(in)                                                                                       \
    ANTHROPIC_EVENT("message_start",                                                                              \
                    ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\"," \
                    "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":" #in \
                    ",\"cache_read_input_tokens\":2,\"cache_creation_input_tokens\":1,\"output_tokens\":1}}")
#define ANTHROPIC_BEGIN(i, block) \
    ANTHROPIC_EVENT("content_block_start", ",\"index\":" #i ",\"content_block\":{" block "}")
#define ANTHROPIC_DELTA(i, delta) ANTHROPIC_EVENT("content_block_delta", ",\"index\":" #i ",\"delta\":{" delta "}")
#define ANTHROPIC_STOP(i) ANTHROPIC_EVENT("content_block_stop", ",\"index\":" #i)
#define ANTHROPIC_END(reason, out)                                                                        \
    ANTHROPIC_EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                              \
                                     "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":" #out "}") \
    ANTHROPIC_EVENT("message_stop", "")
#define ANTHROPIC_TEXT(i) ANTHROPIC_BEGIN(i, "\"type\":\"text\",\"text\":\"\"")

static const char *const anthropic_sample_streams[] = {
    ANTHROPIC_START(4) ANTHROPIC_TEXT(0) ANTHROPIC_EVENT("ping", "")
        ANTHROPIC_DELTA(0, "\"type\":\"text_delta\",\"text\":\"Hel\"")
            ANTHROPIC_DELTA(0, "\"type\":\"text_delta\",\"text\":\"lo \\u00e9\\n\"") ANTHROPIC_STOP(0)
                ANTHROPIC_END("end_turn", 3),
    ANTHROPIC_START(6) ANTHROPIC_BEGIN(0, "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
        ANTHROPIC_DELTA(0, "\"type\":\"thinking_delta\",\"thinking\":\"hm\"")
            ANTHROPIC_DELTA(0, "\"type\":\"thinking_delta\",\"thinking\":\"m.\"")
                ANTHROPIC_DELTA(0, "\"type\":\"signature_delta\",\"signature\":\"c2ln\"") ANTHROPIC_STOP(0)
                    ANTHROPIC_TEXT(1) ANTHROPIC_DELTA(1, "\"type\":\"text_delta\",\"text\":\"It is 4.\"")
                        ANTHROPIC_STOP(1) ANTHROPIC_END("max_tokens", 5),
    ANTHROPIC_START(17) ANTHROPIC_TEXT(0) ANTHROPIC_DELTA(0, "\"type\":\"text_delta\",\"text\":\"I look.\"")
        ANTHROPIC_STOP(0) ANTHROPIC_BEGIN(1, "\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"weather\",\"input\":{}")
            ANTHROPIC_DELTA(1, "\"type\":\"input_json_delta\",\"partial_json\":\"\"")
                ANTHROPIC_DELTA(1, "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":\"")
                    ANTHROPIC_DELTA(1, "\"type\":\"input_json_delta\",\"partial_json\":\"\\\"Bern\\\"}\"")
                        ANTHROPIC_STOP(1)
                            ANTHROPIC_BEGIN(2, "\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"clock\",\"input\":{}")
                                ANTHROPIC_DELTA(2, "\"type\":\"input_json_delta\",\"partial_json\":\"{}\"")
                                    ANTHROPIC_STOP(2) ANTHROPIC_END("tool_use", 11),
    NULL,
};

static const char *const anthropic_sample_answers[] = {
    "{\"id\":\"msg_2\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"thinking\","
    "\"thinking\":\"hm\",\"signature\":\"c2ln\"},{\"type\":\"redacted_thinking\",\"data\":\"ZA==\"},{\"type\":\"text\","
    "\"text\":\"Hello\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,"
    "\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":0,\"output_tokens\":3}}",
    "{\"id\":\"msg_3\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"tool_use\","
    "\"id\":\"c1\",\"name\":\"weather\",\"input\":{\"city\":\"Bern\"}},{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":"
    "\"clock\",\"input\":{}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,"
    "\"output_tokens\":11}}",
    NULL,
};

static const char *const anthropic_sample_errors[] = {
    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9 > 8\"},"
    "\"request_id\":\"req_1\"}",
    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad\"}}",
    NULL,
};

#define ANTHROPIC_SAMPLES \
    { anthropic_sample_requests, anthropic_sample_streams, anthropic_sample_answers, anthropic_sample_errors }

#endif

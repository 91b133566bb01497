// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_RESPONSES_SAMPLES_H
#define DIALECT_RESPONSES_SAMPLES_H
// Tests only: the row of OpenAI responses in samples.h.

static const char *const responses_sample_requests[] = {
    "{\"model\":\"m\",\"store\":false,\"input\":\"hi\"}",
    "{ \"model\": \"gpt-x\", \"stream\": true, \"store\": false, \"instructions\": \"be brief\",\n"
    "  \"input\": [{\"role\": \"developer\", \"content\": \"and kind\"},\n"
    "    {\"type\": \"message\", \"role\": \"user\", \"content\": [\n"
    "      {\"type\": \"input_text\", \"text\": \"what is this? \\u00e9\\n\"},\n"
    "      {\"type\": \"input_image\", \"image_url\": \"data:image/png;base64,AAAA\", \"detail\": \"low\"},\n"
    "      {\"type\": \"input_image\", \"image_url\": \"https://x.example/a.png\", \"detail\": \"auto\"},\n"
    "      {\"type\": \"input_audio\", \"input_audio\": {\"data\": \"UklG\", \"format\": \"wav\"}},\n"
    "      {\"type\": \"input_file\", \"filename\": \"a.pdf\", \"file_data\": \"data:application/pdf;base64,JVBE\"},\n"
    "      {\"type\": \"input_file\", \"file_url\": \"https://x.example/a.pdf\"}]}],\n"
    "  \"max_output_tokens\": 100, \"temperature\": 0.7, \"top_p\": 0.9, \"top_logprobs\": 3, \"user\": \"u1\",\n"
    "  \"include\": [\"message.output_text.logprobs\"], \"reasoning\": {\"effort\": \"low\", \"summary\": \"auto\"} }",
    "{\"model\":\"m\",\"store\":false,\"input\":[{\"role\":\"user\",\"content\":\"weather in Bern and Rome?\"},"
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"two calls\"}],"
    "\"encrypted_content\":\"Z0FBQQ==\"},"
    "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":["
    "{\"type\":\"output_text\",\"text\":\"I look\",\"annotations\":[],\"logprobs\":[]},{\"type\":\"output_text\","
    "\"text\":\" it up.\",\"annotations\":[]}]},"
    "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c1\",\"name\":\"weather\",\"arguments\":"
    "\"{\\\"city\\\":\\\"Bern\\\"}\",\"status\":\"completed\"},"
    "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Rome\\\"}\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"rain\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":\"input_text\",\"text\":\"sun\"},"
    "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AAAA\"}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
    "{\"role\":\"user\",\"content\":\"so?\"}],"
    "\"tools\":[{\"type\":\"function\",\"name\":\"weather\",\"description\":\"now\",\"strict\":true,"
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}},"
    "{\"type\":\"function\",\"name\":\"clock\",\"parameters\":null,\"strict\":null}],"
    "\"tool_choice\":{\"type\":\"function\",\"name\":\"weather\"},\"parallel_tool_calls\":false,"
    "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"w\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},"
    "\"max_output_tokens\":50}",
    NULL,
};

#define RESPONSES_EVENT(type, n, rest) \
    "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":" #n "," rest "}\n\n"
#define RESPONSES_OBJECT(status, more)                                                                       \
    "\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"" status \
    "\",\"model\":\"m\",\"error\":null," more "}"
#define RESPONSES_CREATED                                                                                        \
    RESPONSES_EVENT("response.created", 0,                                                                       \
                    RESPONSES_OBJECT("in_progress", "\"incomplete_details\":null,\"output\":[],\"usage\":null")) \
    RESPONSES_EVENT("response.in_progress", 1,                                                                   \
                    RESPONSES_OBJECT("in_progress", "\"incomplete_details\":null,\"output\":[],\"usage\":null"))
#define RESPONSES_USAGE(in, out)                                                                                 \
    "\"usage\":{\"input_tokens\":" #in ",\"input_tokens_details\":{\"cached_tokens\":2},\"output_tokens\":" #out \
    ",\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":0}"
#define RESPONSES_COMPLETED(n, in, out) \
    RESPONSES_EVENT(                    \
        "response.completed", n,        \
        RESPONSES_OBJECT("completed", "\"incomplete_details\":null,\"output\":[]," RESPONSES_USAGE(in, out)))
#define RESPONSES_MESSAGE(i, n)                                                                                  \
    RESPONSES_EVENT("response.output_item.added", n,                                                             \
                    "\"output_index\":" #i ",\"item\":{\"id\":\"msg_" #i                                         \
                    "\",\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],\"role\":\"assistant\"}") \
    RESPONSES_EVENT(                                                                                             \
        "response.content_part.added", n,                                                                        \
        "\"item_id\":\"msg_" #i "\",\"output_index\":" #i                                                        \
        ",\"content_index\":0,\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}")
#define RESPONSES_TEXT(i, n, text)                                                                             \
    RESPONSES_EVENT("response.output_text.delta", n,                                                           \
                    "\"item_id\":\"msg_" #i "\",\"output_index\":" #i ",\"content_index\":0,\"delta\":\"" text \
                    "\",\"logprobs\":[]")
#define RESPONSES_MESSAGE_DONE(i, n, text)                                                                        \
    RESPONSES_EVENT("response.output_text.done", n,                                                               \
                    "\"item_id\":\"msg_" #i "\",\"output_index\":" #i ",\"content_index\":0,\"text\":\"" text     \
                    "\",\"logprobs\":[]")                                                                         \
    RESPONSES_EVENT("response.content_part.done", n,                                                              \
                    "\"item_id\":\"msg_" #i "\",\"output_index\":" #i                                             \
                    ",\"content_index\":0,\"part\":{\"type\":\"output_text\",\"annotations\":[],\"text\":\"" text \
                    "\"}")                                                                                        \
    RESPONSES_EVENT("response.output_item.done", n,                                                               \
                    "\"output_index\":" #i ",\"item\":{\"id\":\"msg_" #i                                          \
                    "\",\"type\":\"message\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\","    \
                    "\"annotations\":[],\"text\":\"" text "\"}],\"role\":\"assistant\"}")
#define RESPONSES_CALL(i, n, name, delta, args)                                                                      \
    RESPONSES_EVENT("response.output_item.added", n,                                                                 \
                    "\"output_index\":" #i ",\"item\":{\"id\":\"fc_" #i                                              \
                    "\",\"type\":\"function_call\",\"status\":\"in_progress\",\"arguments\":\"\",\"call_id\":\"c" #i \
                    "\",\"name\":\"" name "\"}")                                                                     \
    delta RESPONSES_EVENT("response.function_call_arguments.done", n,                                                \
                          "\"item_id\":\"fc_" #i "\",\"output_index\":" #i ",\"arguments\":\"" args "\"")            \
        RESPONSES_EVENT("response.output_item.done", n,                                                              \
                        "\"output_index\":" #i ",\"item\":{\"id\":\"fc_" #i                                          \
                        "\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"" args               \
                        "\",\"call_id\":\"c" #i "\",\"name\":\"" name "\"}")
#define RESPONSES_ARGUMENTS(i, n, piece)                         \
    RESPONSES_EVENT("response.function_call_arguments.delta", n, \
                    "\"item_id\":\"fc_" #i "\",\"output_index\":" #i ",\"delta\":\"" piece "\"")
#define RESPONSES_THOUGHT(n, text)                              \
    RESPONSES_EVENT("response.reasoning_summary_text.delta", n, \
                    "\"item_id\":\"rs_0\",\"output_index\":0,\"summary_index\":0,\"delta\":\"" text "\"")

static const char *const responses_sample_streams[] = {
    RESPONSES_CREATED RESPONSES_MESSAGE(0, 2) RESPONSES_TEXT(0, 4, "Hel") RESPONSES_TEXT(0, 5, "lo \\u00e9\\n")
        RESPONSES_MESSAGE_DONE(0, 6, "Hello \\u00e9\\n") RESPONSES_COMPLETED(9, 7, 3),
    RESPONSES_CREATED RESPONSES_EVENT(
        "response.output_item.added", 2,
        "\"output_index\":0,\"item\":{\"id\":\"rs_0\",\"type\":\"reasoning\",\"summary\":[]}")
        RESPONSES_EVENT("response.reasoning_summary_part.added", 3,
                        "\"item_id\":\"rs_0\",\"output_index\":0,\"summary_index\":0,\"part\":{\"type\":"
                        "\"summary_text\",\"text\":\"\"}") RESPONSES_THOUGHT(4, "hm") RESPONSES_THOUGHT(5, "m.")
            RESPONSES_EVENT("response.reasoning_summary_text.done", 6,
                            "\"item_id\":\"rs_0\",\"output_index\":0,\"summary_index\":0,\"text\":\"hmm.\"")
                RESPONSES_EVENT("response.output_item.done", 7,
                                "\"output_index\":0,\"item\":{\"id\":\"rs_0\",\"type\":\"reasoning\",\"summary\":[{"
                                "\"type\":\"summary_text\",\"text\":\"hmm.\"}],\"encrypted_content\":\"Z0FBQQ==\"}")
                    RESPONSES_MESSAGE(1, 8) RESPONSES_TEXT(1, 9, "It is 4.") RESPONSES_MESSAGE_DONE(1, 10, "It is 4.")
                        RESPONSES_EVENT("response.incomplete", 13,
                                        RESPONSES_OBJECT("incomplete",
                                                         "\"incomplete_details\":{\"reason\":\"max_output_tokens\"},"
                                                         "\"output\":[]," RESPONSES_USAGE(9, 5))),
    RESPONSES_CREATED RESPONSES_MESSAGE(0, 2) RESPONSES_TEXT(0, 4, "I look.") RESPONSES_MESSAGE_DONE(0, 5, "I look.")
        RESPONSES_CALL(1, 8, "weather",
                       RESPONSES_ARGUMENTS(1, 9, "{\\\"city\\\":") RESPONSES_ARGUMENTS(1, 10, "\\\"Bern\\\"}"),
                       "{\\\"city\\\":\\\"Bern\\\"}")
            RESPONSES_CALL(2, 13, "clock", RESPONSES_ARGUMENTS(2, 14, "{}"), "{}") RESPONSES_COMPLETED(17, 20, 11),
    NULL,
};

#define RESPONSES_WHOLE(status, details, output, in, out)                                               \
    "{\"id\":\"resp_2\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"" status         \
    "\",\"error\":null,\"incomplete_details\":" details ",\"model\":\"m\",\"output\":[" output "],"     \
    "\"parallel_tool_calls\":true,\"temperature\":1,\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1," \
    "\"metadata\":{}," RESPONSES_USAGE(in, out) "}"

static const char *const responses_sample_answers[] = {
    RESPONSES_WHOLE("completed", "null",
                    "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],"
                    "\"encrypted_content\":\"Z0FBQQ==\"},{\"id\":\"msg_1\",\"type\":\"message\",\"status\":"
                    "\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],"
                    "\"logprobs\":[{\"token\":\"Hello\",\"logprob\":-0.5,\"bytes\":[72],\"top_logprobs\":[]}],"
                    "\"text\":\"Hello\"}]}",
                    7, 3),
    RESPONSES_WHOLE(
        "completed", "null",
        "{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"c1\",\"name\":"
        "\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Bern\\\"}\"},{\"id\":\"fc_2\",\"type\":"
        "\"function_call\",\"status\":\"completed\",\"call_id\":\"c2\",\"name\":\"clock\",\"arguments\":\"{}\"}",
        20, 11),
    NULL,
};

static const char *const responses_sample_errors[] = {
    "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\",\"param\":\"input\","
    "\"code\":\"context_length_exceeded\"}}",
    "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"param\":\"input[0].role\",\"code\":null}}",
    NULL,
};

static const char *const responses_free_paths[] = {".parameters.", ".schema.", NULL};

#define RESPONSES_SAMPLES                                                                                       \
    {                                                                                                           \
        responses_sample_requests, responses_sample_streams, responses_sample_answers, responses_sample_errors, \
            responses_free_paths                                                                                \
    }

#endif

// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_GEMINI_SAMPLES_H
#define DIALECT_GEMINI_SAMPLES_H
// Tests only: Gemini's row of samples.h.

static const char *const gemini_sample_requests[] = {
    "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}",
    "{ \"systemInstruction\": {\"parts\": [{\"text\": \"be brief\"}, {\"text\": \"and kind\"}]},\n"
    "  \"contents\": [{\"role\": \"user\", \"parts\": [{\"text\": \"what? \\u00e9\\n\"},\n"
    "      {\"inlineData\": {\"mimeType\": \"image/png\", \"data\": \"AAAA\"}},\n"
    "      {\"inlineData\": {\"mimeType\": \"audio/mp3\", \"data\": \"SUQz\"}},\n"
    "      {\"inlineData\": {\"mimeType\": \"application/pdf\", \"data\": \"JVBE\", \"displayName\": \"a.pdf\"}},\n"
    "      {\"fileData\": {\"mimeType\": \"image/jpeg\", \"fileUri\": \"https://x.example/a.jpg\"}}]}],\n"
    "  \"generationConfig\": {\"temperature\": 0.5, \"topP\": 0.9, \"topK\": 40, \"seed\": -7, \"maxOutputTokens\": 100,\n"
    "    \"stopSequences\": [\"a\", \"b\"], \"presencePenalty\": -0.5, \"frequencyPenalty\": 1.5, \"candidateCount\": 2,\n"
    "    \"responseLogprobs\": true, \"logprobs\": 3, \"responseModalities\": [\"TEXT\"],\n"
    "    \"thinkingConfig\": {\"includeThoughts\": true, \"thinkingBudget\": 2000}} }",
    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"weather in Bern and Rome?\"}]},"
    "{\"role\":\"model\",\"parts\":[{\"text\":\"two calls\",\"thought\":true,\"thoughtSignature\":\"c2ln\"},"
    "{\"text\":\"I look.\"},"
    "{\"functionCall\":{\"name\":\"weather\",\"args\":{\"city\":\"Bern\"}},\"thoughtSignature\":\"c2lnbmF0dXJl\"},"
    "{\"functionCall\":{\"id\":\"c2\",\"name\":\"clock\",\"args\":{}}}]},"
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"weather\",\"response\":{\"output\":\"rain\"},"
    "\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}}]}},"
    "{\"functionResponse\":{\"id\":\"c2\",\"name\":\"clock\",\"response\":{\"error\":\"no clock\"}}}]},"
    "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"clock\"}}]},"
    "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"clock\",\"response\":{\"hours\":12,\"am\":false}}},"
    "{\"text\":\"so?\"}]}],"
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"weather\",\"description\":\"now\",\"parameters\":{\"type\":\"OBJECT\","
    "\"properties\":{\"city\":{\"type\":\"STRING\",\"nullable\":true,\"maxLength\":\"64\"},\"days\":{\"type\":\"ARRAY\","
    "\"items\":{\"type\":\"INTEGER\"}}},\"propertyOrdering\":[\"city\"],\"required\":[\"city\"]}},"
    "{\"name\":\"clock\",\"parametersJsonSchema\":{\"type\":\"object\"}}]}],"
    "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"weather\"]}},"
    "\"generationConfig\":{\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\","
    "\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"}]},\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}}}",
    "{\"contents\":{\"role\":\"user\",\"parts\":{\"text\":\"a\"}},\"system_instruction\":{\"parts\":{\"text\":\"S\"}},"
    "\"tools\":{\"function_declarations\":[{\"name\":\"f\",\"parameters_json_schema\":{\"type\":\"object\"}}]},"
    "\"tool_config\":{\"function_calling_config\":{\"mode\":\"auto\"}},"
    "\"generation_config\":{\"response_mime_type\":\"application/json\",\"response_json_schema\":{\"type\":\"object\"},"
    "\"max_output_tokens\":9,\"top_p\":0.5,\"thinking_config\":{\"thinking_budget\":-1}}}",
    NULL,
};

#define GEMINI_USAGE(in, out, thoughts)                                              \
    "\"usageMetadata\":{\"promptTokenCount\":" #in ",\"candidatesTokenCount\":" #out \
    ",\"totalTokenCount\":0,\"thoughtsTokenCount\":" #thoughts "},\"modelVersion\":\"m\",\"responseId\":\"r1\""
#define GEMINI_CANDIDATE(parts, finish) \
    "{\"candidates\":[{\"content\":{\"parts\":[" parts "],\"role\":\"model\"}" finish ",\"index\":0}],"
#define GEMINI_CHUNK(parts, finish, usage) "data: " GEMINI_CANDIDATE(parts, finish) usage "}\r\n\r\n"
#define GEMINI_FINISH(reason) ",\"finishReason\":\"" reason "\""

static const char *const gemini_sample_streams[] = {
    GEMINI_CHUNK("{\"text\":\"Hel\"}", "", GEMINI_USAGE(7, 1, 0))
        GEMINI_CHUNK("{\"text\":\"lo \\u00e9\\n\"}", "", GEMINI_USAGE(7, 3, 0))
            GEMINI_CHUNK("{\"text\":\"\",\"thoughtSignature\":\"c2ln\"}", GEMINI_FINISH("STOP"), GEMINI_USAGE(7, 3, 0)),
    GEMINI_CHUNK("{\"text\":\"hm\",\"thought\":true}", "", GEMINI_USAGE(9, 0, 2))
        GEMINI_CHUNK("{\"text\":\"m.\",\"thought\":true}", "", GEMINI_USAGE(9, 0, 3))
            GEMINI_CHUNK("{\"text\":\"It is 4.\"}", "", GEMINI_USAGE(9, 2, 3))
                GEMINI_CHUNK("{\"text\":\"\"}", GEMINI_FINISH("MAX_TOKENS"), GEMINI_USAGE(9, 2, 3)),
    GEMINI_CHUNK("{\"text\":\"I look.\"}", "", GEMINI_USAGE(20, 3, 0)) GEMINI_CHUNK(
        "{\"functionCall\":{\"name\":\"weather\",\"args\":{\"city\":\"Bern\"}},\"thoughtSignature\":\"c2ln\"},"
        "{\"functionCall\":{\"name\":\"clock\",\"args\":{}}}",
        GEMINI_FINISH("STOP"), GEMINI_USAGE(20, 11, 0)),
    GEMINI_CHUNK("{\"functionCall\":{\"name\":\"weather\",\"willContinue\":true},\"thoughtSignature\":\"c2ln\"}", "",
                 GEMINI_USAGE(20, 3, 0))
        GEMINI_CHUNK("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.where.cities[1]\",\"stringValue\":\"Be\","
                     "\"willContinue\":true}],\"willContinue\":true}}",
                     "", GEMINI_USAGE(20, 3, 0))
            GEMINI_CHUNK(
                "{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.where.cities[1]\",\"stringValue\":\"rn\"},"
                "{\"jsonPath\":\"$.days\",\"numberValue\":3},{\"jsonPath\":\"$['now']\",\"boolValue\":true}],"
                "\"willContinue\":true}}",
                "", GEMINI_USAGE(20, 3, 0))
                GEMINI_CHUNK("{\"functionCall\":{}}", GEMINI_FINISH("STOP"), GEMINI_USAGE(20, 11, 0)),
    NULL,
};

static const char *const gemini_sample_answers[] = {
    GEMINI_CANDIDATE("{\"text\":\"hm\",\"thought\":true},{\"text\":\"Hello\",\"thoughtSignature\":\"c2ln\"}",
                     GEMINI_FINISH("STOP") ",\"avgLogprobs\":-0.5,\"logprobsResult\":{\"chosenCandidates\":[{\"token\":"
                                           "\"Hello\",\"logProbability\":-0.5}]}") GEMINI_USAGE(7, 2, 1) "}",
    GEMINI_CANDIDATE("{\"functionCall\":{\"id\":\"c1\",\"name\":\"weather\",\"args\":{\"city\":\"Bern\"}},"
                     "\"thoughtSignature\":\"c2ln\"},{\"functionCall\":{\"name\":\"clock\"}}",
                     GEMINI_FINISH("STOP")) GEMINI_USAGE(20, 11, 0) "}",
    NULL,
};

static const char *const gemini_sample_errors[] = {
    "{\"error\":{\"code\":400,\"message\":\"The input token count (9) exceeds the maximum number of tokens allowed (8).\","
    "\"status\":\"INVALID_ARGUMENT\"}}",
    "[{\"error\":{\"code\":400,\"message\":\"bad\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":"
    "\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"contents\",\"description\":\"bad\"}]}]}}]",
    NULL,
};

static const char *const gemini_free_paths[] = {".args.", ".response.", "JsonSchema.", "json_schema.", NULL};

#define GEMINI_SAMPLES \
    { gemini_sample_requests, gemini_sample_streams, gemini_sample_answers, gemini_sample_errors, gemini_free_paths }

#endif

// SPDX-License-Identifier: Apache-2.0
// Refusals as the providers send them, read by the dialect that each speaks: what may be tried again, what is spent.
#include "dialect/refusal.h"
#include "base/arena.h"
#include "dialect/dialect.h"
#include "unit.h"

static struct arena arena;

static const struct sample {
    enum dialect_id dialect;
    int status;
    const char *body;
    enum err err;
    int64_t retry_ms;
} samples[] = {
    // OpenAI
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, "
     "Used 3, Requested 1. Please try again in 20s.\",\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     ERR_UP_RATE_LIMIT, 20000},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"You exceeded your current quota, please check your plan and billing details.\","
     "\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, "
     "Requested 30601.\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     ERR_CONTEXT_LENGTH, -1},
    // Groq
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_x` service "
     "tier `on_demand` on tokens per day (TPD): Limit 100000, Used 99336, Requested 1000. Please try again in 4m50.304s."
     "\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
     ERR_UP_RATE_LIMIT, 290304},
    {DIALECT_OPENAI, 413,
     "{\"error\":{\"message\":\"Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000\","
     "\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
     ERR_CONTEXT_LENGTH, -1},
    // Cerebras
    {DIALECT_OPENAI, 429,
     "{\"message\":\"Tokens per day limit exceeded - too many tokens processed.\",\"type\":\"too_many_tokens_error\","
     "\"param\":\"quota\",\"code\":\"token_quota_exceeded\"}",
     ERR_UP_RATE_LIMIT, -1},
    {DIALECT_OPENAI, 429,
     "{\"message\":\"We're experiencing high traffic right now! Please try again soon.\",\"type\":"
     "\"too_many_requests_error\",\"param\":\"queue\",\"code\":\"queue_exceeded\"}",
     ERR_UP_OVERLOADED, -1},
    // OpenRouter
    {DIALECT_OPENAI, 402,
     "{\"error\":{\"message\":\"This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, "
     "but can only afford 2666.\",\"code\":402,\"metadata\":{\"provider_name\":null}}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 403, "{\"error\":{\"message\":\"Key limit exceeded (total limit).\",\"code\":403}}", ERR_UP_QUOTA,
     -1},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"Rate limit exceeded: free-models-per-day.\",\"code\":429,\"metadata\":{\"headers\":"
     "{\"X-RateLimit-Remaining\":\"0\"}}}}",
     ERR_UP_RATE_LIMIT, -1},
    // Mistral
    {DIALECT_OPENAI, 429,
     "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\",\"param\":null,\"code\":\"1300\","
     "\"raw_status_code\":429}",
     ERR_UP_RATE_LIMIT, -1},
    {DIALECT_OPENAI, 429, "{\"message\":\"Requests rate limit exceeded\"}", ERR_UP_RATE_LIMIT, -1},
    {DIALECT_OPENAI, 429,
     "{\"object\":\"error\",\"message\":\"Service tier capacity exceeded for this model.\",\"type\":"
     "\"service_tier_capacity_exceeded\",\"param\":null,\"code\":\"3505\"}",
     ERR_UP_OVERLOADED, -1},
    // DeepSeek
    {DIALECT_OPENAI, 402,
     "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,\"code\":"
     "\"invalid_request_error\"}}",
     ERR_UP_QUOTA, -1},
    // xAI
    {DIALECT_OPENAI, 429,
     "{\"code\":\"Some resource has been exhausted\",\"error\":\"Your team x has either used all available credits or "
     "reached its monthly spending limit.\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 403,
     "{\"code\":\"The caller does not have permission to execute the specified operation\",\"error\":\"Your newly created "
     "teams doesn't have any credits yet.\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 429, "{\"code\":\"Some resource has been exhausted\",\"error\":\"Too many requests for team x\"}",
     ERR_UP_RATE_LIMIT, -1},
    // Fireworks
    {DIALECT_OPENAI, 412,
     "{\"error\":{\"message\":\"Account x is suspended, possibly due to reaching the monthly spending limit or failure to "
     "pay past invoices.\",\"param\":null,\"code\":\"PRECONDITION_FAILED\",\"type\":\"error\"}}",
     ERR_UP_QUOTA, -1},
    // Together
    {DIALECT_OPENAI, 402,
     "{\"id\":\"o3\",\"error\":{\"message\":\"Credit limit exceeded. Please navigate to your settings.\",\"type\":"
     "\"credit_limit\",\"param\":null,\"code\":null}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"You have been rate limited. Your rate limit is 60 queries per minute.\",\"type\":"
     "\"credit_limit\",\"param\":null,\"code\":null}}",
     ERR_UP_RATE_LIMIT, -1},
    // Hugging Face
    {DIALECT_OPENAI, 402,
     "{\"error\":\"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO.\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 400,
     "{\"error\":{\"message\":\"The requested model 'x' is not supported by any provider you have enabled.\",\"type\":"
     "\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_supported\"}}",
     ERR_UP_NOT_FOUND, -1},
    // NVIDIA
    {DIALECT_OPENAI, 402,
     "{\"type\":\"urn:nvcf-worker-service:problem-details:payment-required\",\"title\":\"Payment Required\",\"status\":402,"
     "\"detail\":\"Account 'x': Cloud credits expired - Please contact us\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 429, "{\"status\":429,\"title\":\"Too Many Requests\"}", ERR_UP_RATE_LIMIT, -1},
    // Azure
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"code\":\"429\",\"message\":\"Requests to the ChatCompletions_Create Operation under Azure OpenAI API "
     "version 2024-05-01 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 45 "
     "seconds.\"}}",
     ERR_UP_RATE_LIMIT, 45000},
    {DIALECT_OPENAI, 403,
     "{\"statusCode\":403,\"message\":\"Out of call volume quota. Quota will be replenished in 12:34:56.\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 404,
     "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"The API deployment does not exist.\"}}",
     ERR_UP_NOT_FOUND, -1},
    {DIALECT_OPENAI, 400,
     "{\"error\":{\"message\":\"The response was filtered\",\"type\":null,\"param\":\"prompt\",\"code\":\"content_filter\","
     "\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}",
     ERR_CONTENT_FILTER, -1},
    // LiteLLM
    {DIALECT_OPENAI, 400,
     "{\"error\":{\"message\":\"Budget has been exceeded! Current cost: 10.1, Max budget: 10.0\",\"type\":"
     "\"budget_exceeded\",\"param\":null,\"code\":\"400\"}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"litellm.RateLimitError: slow down\",\"type\":\"throttling_error\",\"param\":null,"
     "\"code\":\"429\"}}",
     ERR_UP_RATE_LIMIT, -1},
    // servers nearby
    {DIALECT_OPENAI, 400,
     "{\"object\":\"error\",\"message\":\"The input (5000 tokens) is longer than the model's context length (4096 tokens)."
     "\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
     ERR_CONTEXT_LENGTH, -1},
    {DIALECT_OPENAI, 400,
     "{\"error\":\"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
     "context length of only 4096 tokens\"}",
     ERR_CONTEXT_LENGTH, -1},
    // Anthropic
    {DIALECT_ANTHROPIC, 429,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"This request would exceed your "
     "organization's rate limit of 50,000 input tokens per minute.\"}}",
     ERR_UP_RATE_LIMIT, -1},
    {DIALECT_ANTHROPIC, 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is too low to "
     "access the Anthropic API. Please go to Plans & Billing.\"}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_ANTHROPIC, 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"You have reached your specified API "
     "usage limits. You will regain access on 2026-01-01 at 00:00 UTC.\"}}",
     ERR_UP_QUOTA, -1},
    {DIALECT_ANTHROPIC, 529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", ERR_UP_OVERLOADED,
     -1},
    // Ollama
    {DIALECT_OLLAMA, 429, "{\"error\":\"you've reached your hourly usage limit, please upgrade to continue\"}",
     ERR_UP_QUOTA, -1},
    {DIALECT_OLLAMA, 404, "{\"error\":\"model \\\"x\\\" not found, try pulling it first\"}", ERR_UP_NOT_FOUND, -1},
};

TEST(refusals_of_providers_are_told_apart) {
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        struct problem p = PROBLEM(ERR_OK);
        arena_init(&arena, 1u << 20, 0);
        dialect_get(s->dialect)->read_error(&arena, s->status, slice_str(s->body), 0, &p);
        if (p.err != s->err || p.retry_after_ms != s->retry_ms)
            FAIL("%s\nis %s, %lld ms", s->body, err_name(p.err), (long long)p.retry_after_ms);
        arena_done(&arena);
    }
}

TEST(refusals_of_a_proxy_behind_5xx_go_by_status) {
    arena_init(&arena, 1u << 20, 0);
    struct problem p = PROBLEM(ERR_OK);
    dialect_get(DIALECT_OPENAI)
        ->read_error(&arena, 502, SLICE("{\"error\":{\"message\":\"run out of credits in the context window\"}}"), 0,
                     &p);
    CHECK_EQ(p.err, ERR_UP_INTERNAL);
    arena_done(&arena);
}

TEST(refusal_times_are_read) {
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"try again in 28ms", 28},
                {"try again in 1.5s.", 1500},
                {"Please try again in 7m12s.", 432000},
                {"try again in 1h2m3.25s", 3723250},
                {"retry after 6 seconds", 6000},
                {"Try again in 2 minutes", 120000},
                {"try again in 99999999h", 86400000},
                {"retry after 99999999999999999999999999 s", 86400000},
                {"try again in", -1},
                {"try again in .s", -1},
                {"try again in a minute", -1},
                {"try again in 5 apples", -1},
                {"", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (refusal_retry_ms(slice_str(rows[i].text)) != rows[i].ms)
            FAIL("%s: %lld", rows[i].text, (long long)refusal_retry_ms(slice_str(rows[i].text)));
}

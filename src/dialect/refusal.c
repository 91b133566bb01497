// SPDX-License-Identifier: Apache-2.0
// Refusals in upstreams' own words. The same status means different things with different providers (402, 403, 412 and
// 429 can all be a spent account; 429 can be a request that never fits), so code, type and text are looked at before it.
// The texts were taken from the providers' documentation and from reports of what they send; each row says whose it is.
// Pure, no memory.
#include "dialect/refusal.h"
#include "base/times.h"

struct row {
    const char *words;
    enum err err;
};

// The whole code or type. A word that says less than the status does not stand here.
static const struct row words[] = {
    {"context_length_exceeded", ERR_CONTEXT_LENGTH},       // OpenAI
    {"exceed_context_size_error", ERR_CONTEXT_LENGTH},     // llama-server
    {"string_above_max_length", ERR_CONTEXT_LENGTH},       // OpenAI
    {"insufficient_quota", ERR_UP_QUOTA},                  // OpenAI, Azure
    {"billing_hard_limit_reached", ERR_UP_QUOTA},          // OpenAI
    {"billing_error", ERR_UP_QUOTA},                       // Anthropic
    {"budget_exceeded", ERR_UP_QUOTA},                     // LiteLLM
    {"content_filter", ERR_CONTENT_FILTER},                // Azure
    {"content_policy_violation", ERR_CONTENT_FILTER},      // OpenAI
    {"model_not_found", ERR_UP_NOT_FOUND},                 // OpenAI, Groq
    {"model_not_supported", ERR_UP_NOT_FOUND},             // Hugging Face
    {"model_decommissioned", ERR_UP_NOT_FOUND},            // Groq
    {"DeploymentNotFound", ERR_UP_NOT_FOUND},              // Azure
    {"invalid_model", ERR_UP_NOT_FOUND},                   // Mistral
    {"not_found_error", ERR_UP_NOT_FOUND},                 // Anthropic
    {"invalid_api_key", ERR_UP_AUTH},                      // OpenAI
    {"authentication_error", ERR_UP_AUTH},                 // Anthropic, DeepSeek
    {"permission_error", ERR_UP_AUTH},                     // Anthropic
    {"rate_limit_exceeded", ERR_UP_RATE_LIMIT},            // OpenAI, Groq
    {"rate_limit_error", ERR_UP_RATE_LIMIT},               // Anthropic
    {"rate_limited", ERR_UP_RATE_LIMIT},                   // Mistral
    {"throttling_error", ERR_UP_RATE_LIMIT},               // LiteLLM
    {"model_rate_limit", ERR_UP_RATE_LIMIT},               // Together
    {"token_quota_exceeded", ERR_UP_RATE_LIMIT},           // Cerebras: per minute or day, it comes back
    {"request_quota_exceeded", ERR_UP_RATE_LIMIT},         // Cerebras
    {"queue_exceeded", ERR_UP_OVERLOADED},                 // Cerebras
    {"service_tier_capacity_exceeded", ERR_UP_OVERLOADED}, // Mistral
    {"overloaded_error", ERR_UP_OVERLOADED},               // Anthropic
    {"unavailable_error", ERR_UP_OVERLOADED},              // llama-server while it loads
    {"request_too_large", ERR_TOO_LARGE},                  // Anthropic
    {"timeout_error", ERR_UP_TIMEOUT},                     // Anthropic
};

// Somewhere in the message, and stronger than a code: accounts that are empty, and requests that never fit a limit.
static const struct row first_texts[] = {
    {"credit balance", ERR_UP_QUOTA},             // Anthropic, 400
    {"api usage limits", ERR_UP_QUOTA},           // Anthropic, 400
    {"insufficient credits", ERR_UP_QUOTA},       // OpenRouter, 402
    {"requires more credits", ERR_UP_QUOTA},      // OpenRouter, 402
    {"key limit exceeded", ERR_UP_QUOTA},         // OpenRouter, 403
    {"insufficient balance", ERR_UP_QUOTA},       // DeepSeek, 402
    {"used all available credits", ERR_UP_QUOTA}, // xAI, 429 and 403
    {"run out of credits", ERR_UP_QUOTA},         // xAI, 403
    {"have any credits", ERR_UP_QUOTA},           // xAI, 403
    {"credits expired", ERR_UP_QUOTA},            // NVIDIA, 402
    {"monthly included credits", ERR_UP_QUOTA},   // Hugging Face, 402
    {"monthly spend", ERR_UP_QUOTA},              // Fireworks, 412
    {"credit limit exceeded", ERR_UP_QUOTA},      // Together, 402
    {"out of call volume quota", ERR_UP_QUOTA},   // Azure, 403
    {"budget has been exceeded", ERR_UP_QUOTA},   // LiteLLM, 400
    {"hourly usage limit", ERR_UP_QUOTA},         // Ollama's cloud, 429
    {"weekly usage limit", ERR_UP_QUOTA},
    {"request too large for", ERR_CONTEXT_LENGTH}, // Groq 413, OpenAI 429: above the limit of a whole minute
};

// Where code and type told nothing. Not behind 5xx: a proxy's page may say anything.
static const struct row last_texts[] = {
    {"maximum context length", ERR_CONTEXT_LENGTH},     // OpenAI, vLLM
    {"context length exceeded", ERR_CONTEXT_LENGTH},    // Ollama
    {"context length of only", ERR_CONTEXT_LENGTH},     // LM Studio
    {"model's context length", ERR_CONTEXT_LENGTH},     // SGLang
    {"exceeds the context length", ERR_CONTEXT_LENGTH}, // Ollama
    {"exceeds maximum context", ERR_CONTEXT_LENGTH},
    {"exceed context limit", ERR_CONTEXT_LENGTH},          // Anthropic
    {"exceeds the available context", ERR_CONTEXT_LENGTH}, // llama-server
    {"prompt is too long", ERR_CONTEXT_LENGTH},            // Anthropic
    {"maximum prompt length", ERR_CONTEXT_LENGTH},         // xAI
    {"context window", ERR_CONTEXT_LENGTH},
    {"reduce the length of the messages", ERR_CONTEXT_LENGTH},
    {"try pulling it first", ERR_UP_NOT_FOUND}, // Ollama
    {"capacity exceeded", ERR_UP_OVERLOADED},   // Mistral, 429
    {"high traffic", ERR_UP_OVERLOADED},        // Cerebras, 429
    {"server busy", ERR_UP_OVERLOADED},         // Ollama
};

bool refusal_says(struct slice message, const char *what) {
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= message.n; i++)
        if (slice_eq_nocase(slice_of(message.p + i, n), slice_of(what, n)))
            return true;
    return false;
}

static enum err word_err(struct slice word) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_is(word, words[i].words))
            return words[i].err;
    return ERR_OK;
}

static enum err text_err(struct slice message, const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (refusal_says(message, rows[i].words))
            return rows[i].err;
    return ERR_OK;
}

enum err refusal_class(int status, struct slice code, struct slice type, struct slice message) {
    bool ours = status < 500; // 0: inside a stream
    enum err e = ours ? text_err(message, first_texts, sizeof first_texts / sizeof first_texts[0]) : ERR_OK;
    if (!e)
        e = word_err(code);
    if (!e)
        e = word_err(type);
    if (!e && ours)
        e = text_err(message, last_texts, sizeof last_texts / sizeof last_texts[0]);
    if (!e && status == 402)
        e = ERR_UP_QUOTA;
    return e;
}

// ---- when it may be tried again

int64_t refusal_retry_ms(struct slice message) {
    static const char *const leads[] = {"again in ", "retry after ", "retry in "};
    size_t at = SIZE_MAX;
    int64_t ms;
    for (size_t i = 0; i < sizeof leads / sizeof leads[0] && at == SIZE_MAX; i++) {
        at = slice_search(message, slice_str(leads[i]));
        if (at != SIZE_MAX)
            at += strlen(leads[i]);
    }
    struct slice rest = at == SIZE_MAX ? SLICE_NONE : slice_from(message, at);
    return times_duration(&rest, &ms) ? ms : -1;
}
